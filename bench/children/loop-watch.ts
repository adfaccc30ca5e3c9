// How long an event loop lets others wait, beside the loop of a process that does nothing at the same time.

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";

/** The longest of a while. */
export interface Gaps {
  /** From one turn of the loop to the next, less the millisecond of its timer. */
  readonly wallMs: number;
  /** Processor time that this thread took in one turn: nobody else's work is in it. Null where the system does not say. */
  readonly cpuMs: number | null;
}

export interface WatchedGaps {
  readonly own: Gaps;
  readonly idle: Gaps;
}

const TICK_MS = 1;

/** Processor time of the thread of the event loop; Linux only. */
export function loopCpuMs(): number | null {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;
  } catch {
    return null;
  }
}

/** The gaps of this process. */
export class GapMeter {
  #at = performance.now();
  #cpu = loopCpuMs();
  #wallMs = 0;
  #cpuMs = 0;
  readonly #timer = setInterval(() => this.#turn(), TICK_MS);

  /** What was longest since it was asked before. */
  lap(): Gaps {
    this.#turn();
    const gaps = { wallMs: this.#wallMs, cpuMs: this.#cpu === null ? null : this.#cpuMs };
    this.#wallMs = 0;
    this.#cpuMs = 0;
    return gaps;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #turn(): void {
    const [now, cpu] = [performance.now(), loopCpuMs()];
    this.#wallMs = Math.max(this.#wallMs, now - this.#at - TICK_MS);
    if (cpu !== null) this.#cpuMs = Math.max(this.#cpuMs, cpu - (this.#cpu ?? cpu));
    this.#at = now;
    this.#cpu = cpu;
  }
}

/** Meters of this process and of one that does nothing. */
export class LoopWatch {
  readonly #idle: ChildProcess;
  readonly #own = new GapMeter();

  private constructor(idle: ChildProcess) {
    this.#idle = idle;
  }

  static async start(): Promise<LoopWatch> {
    const idle = fork(fileURLToPath(new URL("idle-loop.js", import.meta.url)));
    await once(idle, "message");
    const watch = new LoopWatch(idle);
    await watch.lap();
    return watch;
  }

  async lap(): Promise<WatchedGaps> {
    const own = this.#own.lap();
    this.#idle.send("lap");
    const [idle] = (await once(this.#idle, "message")) as [Gaps];
    this.#own.lap();
    return { own, idle };
  }

  stop(): void {
    this.#own.stop();
    this.#idle.disconnect();
  }
}
