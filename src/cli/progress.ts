// Progress
//
// What a person sees of a run while it works: lines of what has happened, and on a terminal, below them, one that says
// what is going on and is drawn anew.
//
// P1  The live line is never longer than the terminal is wide, so drawing over it leaves nothing behind.
// P2  Before anybody else writes (an agent's own output, a question), it is taken away.

import type { RunEvent } from "../index.ts";
import type { Io } from "./io.ts";
import { fit, paint, paintMark } from "./style.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;
const QUESTION_MS = 150;
const ERASE = "\r\u001b[2K";

export class Progress {
  /** The process ends: a step that is decided on from here is for whoever resumes, and is not shown as begun. */
  draining = false;
  readonly #io: Io;
  readonly #lively: boolean;
  readonly #quiet: boolean;
  readonly #running = new Map<string, string>();
  readonly #startedMs = Date.now();
  #done = 0;
  #frame = 0;
  #drawn = false;
  #held = 0;
  /** Lines that came while somebody else had the terminal. */
  #waiting = "";
  /** Where an attempt failed, until its event comes by, which does not say it. */
  readonly #stacks = new Map<string, string>();
  #stackDue = "";
  readonly #asked = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #unhook: (() => void) | undefined;

  /** `quiet`: shows nothing. */
  constructor(io: Io, { quiet = false }: { quiet?: boolean } = {}) {
    this.#io = io;
    this.#quiet = quiet;
    this.#lively = io.stderr.isTTY && !quiet && io.env["TERM"] !== "dumb";
  }

  /** Whether an event is worth a line of its own. Every event has to come by here, in order. */
  shows(event: RunEvent, verbose: boolean): boolean {
    this.#note(event);
    if (event.type !== "step.started") return true;
    // What runs is on the live line.
    return !this.draining && (verbose || !this.#lively);
  }

  /** To be shown below the line of that attempt's failure. */
  failedAt(stepId: string, attempt: number, stack: string): void {
    this.#stacks.set(`${stepId} ${attempt}`, stack);
  }

  /** One or more whole lines. */
  write(line: string): void {
    const text = line + this.#stackDue;
    this.#stackDue = "";
    if (this.#held > 0) {
      this.#waiting += text;
      return;
    }
    this.#erase();
    this.#io.errRaw(paintMark(this.#io.stderr, text));
    this.#draw();
  }

  /** Resolves once the lines up to that question are shown. One asked in an earlier process has none: it waits shortly. */
  async upTo(questionId: string): Promise<void> {
    // Without lines no event comes by.
    if (this.#quiet) return;
    const untilMs = Date.now() + QUESTION_MS;
    while (!this.#asked.has(questionId) && Date.now() < untilMs)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, untilMs - Date.now());
        const wake = (): void => {
          clearTimeout(timer);
          this.#listeners.delete(wake);
          resolve();
        };
        this.#listeners.add(wake);
      });
    // What follows it in the same commit is shown by then.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Takes the live line away until `release`: somebody else has the terminal. */
  hold(): void {
    this.#held++;
    this.#erase();
  }

  release(): void {
    this.#held--;
    if (this.#held > 0) return;
    const text = this.#waiting;
    this.#waiting = "";
    if (text !== "") this.write(text);
    this.#draw();
  }

  /** Idempotent. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#running.clear();
    this.#erase();
    this.#unhook?.();
    this.#unhook = undefined;
  }

  #note(event: RunEvent): void {
    if (event.type === "step.failed" || event.type === "step.retrying") {
      const key = `${event.stepId} ${event.attempt}`;
      this.#stackDue = this.#stacks.get(key) ?? "";
      this.#stacks.delete(key);
    }
    if (event.type === "user.asked") {
      this.#asked.add(event.questionId);
      for (const wake of this.#listeners) wake();
    }
    if (event.type === "step.started") this.#running.set(event.stepId, event.node);
    if (event.type === "step.succeeded" || event.type === "step.failed") this.#done++;
    if (event.type === "step.succeeded" || event.type === "step.failed" || event.type === "step.retrying")
      this.#running.delete(event.stepId);
    if (/^run\.(completed|failed|cancelled|paused|awaiting_user)$/.test(event.type)) this.#running.clear();
    if (!this.#lively || this.#running.size === 0 || this.#timer !== undefined) return;
    this.#unhook = this.#io.onWrite(() => this.#erase());
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
    this.#timer.unref();
  }

  #draw(): void {
    if (this.#timer === undefined || this.#held > 0 || this.#running.size === 0) return this.#erase();
    const { stderr } = this.#io;
    const frame = FRAMES[this.#frame++ % FRAMES.length] ?? "";
    const names = [...new Set(this.#running.values())].join(", ");
    const count = `${this.#done} done · ${((Date.now() - this.#startedMs) / 1000).toFixed(1)} s`;
    const room = stderr.columns - 1;
    const line =
      room < 40 ? fit(`${frame} ${names}`, room) : `${fit(`${frame} ${names}`, room - count.length - 3)} · ${count}`;
    this.#io.errRaw(`${ERASE}${paint(stderr, "dim", line)}`);
    this.#drawn = true;
  }

  #erase(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    this.#io.errRaw(ERASE);
  }
}
