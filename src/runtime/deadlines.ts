// Deadlines
//
// Owns:      all moments an engine waits for: step time limits, run timers, re-offers. One clock timer for all.
// Does not:  know what a moment means.
//
// D1  A deadline fires at most once, never after it was cleared, and never early by the monotonic clock.
// D2  Clearing is cheap: the entry is only marked; the heap is rebuilt when more than half of it is marked, so
//     a step that ends early leaves nothing behind for long.
// D3  The clock timer is armed only while somebody retains the wheel or an entry is live. When the last session
//     lets go, no timer is left and the process may end.
// D4  A callback that throws is reported and the others still fire.

import type { Clock } from "../base/clock.ts";

export interface Deadline {
  readonly atMs: number;
  fire: (() => void) | null;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  #heap: Deadline[] = [];
  #dead = 0;
  #retained = 0;
  #armedForMs = Infinity;
  #disarm: (() => void) | null = null;
  #closed = false;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Fires once, `delayMs` from now. */
  after(delayMs: number, fire: () => void): Deadline {
    const deadline: Deadline = { atMs: this.#clock.monotonicMs() + Math.max(0, delayMs), fire };
    if (this.#closed) return deadline;
    this.#heap.push(deadline);
    this.#siftUp(this.#heap.length - 1);
    if (deadline.atMs < this.#armedForMs) this.#arm(deadline.atMs);
    return deadline;
  }

  clear(deadline: Deadline): void {
    if (deadline.fire === null) return;
    deadline.fire = null;
    if (this.#closed) return;
    this.#dead++;
    if (this.#dead > 64 && this.#dead * 2 > this.#heap.length) this.#rebuild();
    if (this.#retained === 0 && this.#dead === this.#heap.length) this.#stop();
  }

  /** A live session keeps the clock timer armed between its steps, which spares arming it for each. */
  retain(): void {
    this.#retained++;
  }

  release(): void {
    this.#retained--;
    if (this.#retained === 0 && this.#dead === this.#heap.length) this.#stop();
  }

  /** Clears everything; what is set afterwards never fires. */
  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #stop(): void {
    this.#disarm?.();
    this.#disarm = null;
    this.#armedForMs = Infinity;
    this.#heap = [];
    this.#dead = 0;
  }

  #arm(atMs: number): void {
    this.#disarm?.();
    this.#armedForMs = atMs;
    this.#disarm = this.#clock.setTimer(Math.max(0, Math.ceil(atMs - this.#clock.monotonicMs())), () => this.#wake());
  }

  #wake(): void {
    this.#disarm = null;
    this.#armedForMs = Infinity;
    const nowMs = this.#clock.monotonicMs();
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.fire !== null && first.atMs > nowMs) break;
      this.#shift();
      const fire = first.fire;
      if (fire === null) {
        this.#dead--;
        continue;
      }
      first.fire = null;
      try {
        fire();
      } catch (error) {
        this.#onError(error);
      }
    }
    const next = this.#heap[0];
    if (next !== undefined && next.atMs < this.#armedForMs) this.#arm(next.atMs);
  }

  #rebuild(): void {
    this.#heap = this.#heap.filter((deadline) => deadline.fire !== null);
    this.#dead = 0;
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#siftDown(i);
  }

  #shift(): void {
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#siftDown(0);
    }
  }

  #siftUp(from: number): void {
    const heap = this.#heap;
    const moved = heap[from] as Deadline;
    let index = from;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above] as Deadline;
      if (parent.atMs <= moved.atMs) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = moved;
  }

  #siftDown(from: number): void {
    const heap = this.#heap;
    const moved = heap[from] as Deadline;
    let index = from;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) break;
      const right = heap[below + 1];
      if (right !== undefined && right.atMs < (heap[below] as Deadline).atMs) below++;
      const child = heap[below] as Deadline;
      if (child.atMs >= moved.atMs) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = moved;
  }
}
