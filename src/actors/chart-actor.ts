// Chart actor
//
// A live actor of a chart: it is sent events, one at a time, and knows nobody. XState's own actor brings a system with a
// scheduler and a registry of children, observers and a mailbox, some 3.5 kB; nothing here has children, timers or
// watchers, and nothing that happens inside can send. What moves it is what the machine answers all the same (chart.ts).
//
// A1  An event is taken in before `send` returns.
// A2  A defect in what folds ends this actor, is told to `onError`, and reaches nobody else.
// A3  What is sent after an end, a defect or `stop` changes nothing.

import type { AnyStateMachine, ContextFrom, EventFromLogic, InputFrom, SnapshotFrom } from "xstate";
import type { LiveActor } from "./live-actor.ts";
import type { Chart } from "./chart.ts";

export class ChartActor<M extends AnyStateMachine, State extends string> implements LiveActor<M> {
  readonly #chart: Chart<M, State>;
  readonly #onError: (error: unknown) => void;
  #context: ContextFrom<M>;
  #state: State;
  #takes: boolean;

  constructor(chart: Chart<M, State>, input: InputFrom<M>, onError: (error: unknown) => void) {
    this.#chart = chart;
    this.#onError = onError;
    this.#context = chart.begin(input);
    this.#state = chart.first(this.#context);
    this.#takes = !chart.isFinal(this.#state);
  }

  send(event: EventFromLogic<M>): void {
    if (!this.#takes) return;
    try {
      const context = this.#chart.fold(this.#context, event);
      const next = this.#chart.next(this.#state, context, event);
      if (next === undefined) return;
      this.#context = context;
      this.#state = next;
      this.#takes = !this.#chart.isFinal(next);
    } catch (error) {
      this.#takes = false;
      this.#onError(error);
    }
  }

  stop(): void {
    this.#takes = false;
  }

  getSnapshot(): SnapshotFrom<M> {
    return this.#chart.snapshot(this.#state, this.#context);
  }
}
