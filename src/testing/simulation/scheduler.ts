// Scheduler
//
// Owns:      simulated time, and what happens when.
// Does not:  know what the events do.
//
// T1  One event happens at a time; every promise job it sets off runs before the next.
// T2  Of the events due at one moment, chance says which is first; the same seed says the same.
// T3  An event of a process that has died never happens, and nothing new is scheduled for it.
// T4  What falls due in a process that stands still happens once it goes on, late and in its order.

import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";

/** What lives and dies together: a process of the simulated machine, or the world around it. */
export class Scope {
  readonly name: string;
  /** It stands still: the process was stopped (SIGSTOP), its machine sleeps. Set by the scheduler. */
  frozen = false;
  #alive = true;
  #onDeath: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get alive(): boolean {
    return this.#alive;
  }

  die(): void {
    this.#alive = false;
    for (const tell of this.#onDeath.splice(0)) tell();
  }

  onDeath(tell: () => void): void {
    this.#onDeath.push(tell);
  }
}

interface Scheduled {
  readonly atMs: number;
  readonly tie: number;
  readonly scope: Scope;
  readonly label: string;
  run: (() => void) | null;
}

/** Milliseconds before an act takes effect, and from then until its caller hears of it. */
export interface Latency {
  readonly beforeMs: number;
  readonly afterMs: number;
}

const START_MS = Date.UTC(2030, 0, 1);

export class Scheduler {
  /** On the clock that never runs backwards. */
  nowMs = 0;
  executed = 0;
  /** The label and time of every event; undefined when nobody asked for it. */
  readonly trace: string[] | undefined;
  readonly #random: Random;
  /** T4. */
  readonly #held: Scheduled[] = [];
  #heap: Scheduled[] = [];
  #wallOffsetMs = START_MS;

  constructor(random: Random, options: { readonly traced?: boolean } = {}) {
    this.#random = random;
    this.trace = options.traced === true ? [] : undefined;
  }

  get wallMs(): number {
    return this.#wallOffsetMs + this.nowMs;
  }

  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** Returns the way to cancel. */
  after(scope: Scope, delayMs: number, label: string, run: () => void): () => void {
    if (!scope.alive) return () => undefined;
    const scheduled: Scheduled = {
      atMs: this.nowMs + Math.max(0, delayMs),
      tie: this.#random.next(),
      scope,
      label,
      run,
    };
    this.#push(scheduled);
    return () => {
      scheduled.run = null;
    };
  }

  /** Does `act` later and answers later still. In a process that dies before, neither happens, and the promise stays open. */
  call<T>(scope: Scope, label: string, latency: Latency, act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.after(scope, latency.beforeMs, label, () => {
        let answer: () => void;
        try {
          const value = act();
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error as Error);
        }
        this.after(scope, latency.afterMs, `${label} answers`, answer);
      });
    });
  }

  sleep(scope: Scope, ms: number, label = "sleep"): Promise<void> {
    return new Promise((resolve) => this.after(scope, ms, label, resolve));
  }

  /** The next event there is, at its time; undefined when nothing is left. */
  next(): { readonly scope: Scope; readonly label: string; readonly run: () => void } | undefined {
    for (;;) {
      const first = this.#pop();
      if (first === undefined) return undefined;
      const { run, scope, label } = first;
      if (run === null || !scope.alive) continue;
      if (scope.frozen) {
        this.#held.push(first);
        continue;
      }
      this.nowMs = Math.max(this.nowMs, first.atMs);
      this.executed++;
      this.trace?.push(`${this.nowMs} ${scope.name} ${label}`);
      return { scope, label, run };
    }
  }

  freeze(scope: Scope): void {
    scope.frozen = true;
  }

  /** T4. */
  thaw(scope: Scope): void {
    scope.frozen = false;
    const due = this.#held.filter((one) => one.scope === scope);
    this.#held.splice(0, Infinity, ...this.#held.filter((one) => one.scope !== scope));
    for (const [i, one] of due.entries())
      this.#push({ ...one, run: () => one.run?.(), atMs: this.nowMs, tie: i / due.length });
  }

  /** What is still to happen in a scope. */
  pending(scope: Scope): readonly string[] {
    return this.#heap.filter((one) => one.scope === scope && one.run !== null).map(({ label }) => label);
  }

  /** `aheadMs`: how far the wall clock of its machine is ahead of the others'. */
  clockOf(scope: Scope, onRead: () => void = () => undefined, aheadMs: () => number = () => 0): Clock {
    return {
      nowMs: () => this.wallMs + aheadMs(),
      monotonicMs: () => {
        onRead();
        return this.nowMs;
      },
      setTimer: (delayMs, fire) => this.after(scope, delayMs > 0 ? delayMs : 0, "timer", fire),
    };
  }

  /** Lets every promise job run. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #push(scheduled: Scheduled): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(scheduled);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above] as Scheduled;
      if (isBefore(parent, scheduled)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = scheduled;
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const moved = heap.pop();
    if (first === undefined || moved === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Scheduled)) below++;
      const child = heap[below] as Scheduled;
      if (isBefore(moved, child)) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = moved;
    return first;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.tie < b.tie);
}
