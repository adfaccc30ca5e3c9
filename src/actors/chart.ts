// Chart
//
// For each event XState searches the chart anew: which transitions are enabled, what is left, what is entered. In a flat
// chart without entry and exit actions the answer for a state and a kind of event never changes. So its answers stand in
// a table, beside the machine and held equal to it by a test, and only the context is worked out, by the function that the
// machine's own actions call. XState is loaded when somebody looks at a snapshot or inspects.
//
// H1  The table keeps no context: nothing of a session outlives it here.

import type { AnyStateMachine, ContextFrom, EventFromLogic, InputFrom, SnapshotFrom } from "xstate";

/** What a machine answers, in the words of its states and of `kindOf`. */
export interface ChartTable<State extends string> {
  /** Where an actor begins, by the kind of its context. */
  readonly firsts: Readonly<Record<string, State>>;
  /** Where each kind of event leads; one that is missing is not taken. A final state has no row. */
  readonly rows: Readonly<Partial<Record<State, Readonly<Record<string, State>>>>>;
}

export interface ChartParts<M extends AnyStateMachine> {
  begin(input: InputFrom<M>): ContextFrom<M>;
  /** The context after an event that the machine's state takes. */
  fold(context: ContextFrom<M>, event: EventFromLogic<M>): ContextFrom<M>;
  /** All that the machine's guards look at, in one word. */
  kindOf(next: ContextFrom<M>, event?: EventFromLogic<M>): string;
}

/** A flat machine whose actions only assign, by its table. */
export class Chart<M extends AnyStateMachine, State extends string> {
  readonly #machine: () => M;
  readonly #table: ChartTable<State>;
  readonly #parts: ChartParts<M>;

  constructor(machine: () => M, table: ChartTable<State>, parts: ChartParts<M>) {
    this.#machine = machine;
    this.#table = table;
    this.#parts = parts;
  }

  begin(input: InputFrom<M>): ContextFrom<M> {
    return this.#parts.begin(input);
  }

  /** Where an actor with this context begins. */
  first(context: ContextFrom<M>): State {
    const kind = this.#parts.kindOf(context);
    const state = this.#table.firsts[kind];
    if (state === undefined) throw new TypeError(`no state to begin in with ${JSON.stringify(kind)}`);
    return state;
  }

  fold(context: ContextFrom<M>, event: EventFromLogic<M>): ContextFrom<M> {
    return this.#parts.fold(context, event);
  }

  /** Where `event` leads, with the context that `fold` made of it; undefined when the state does not take it. */
  next(state: State, after: ContextFrom<M>, event: EventFromLogic<M>): State | undefined {
    return this.#table.rows[state]?.[this.#parts.kindOf(after, event)];
  }

  isFinal(state: State): boolean {
    return this.#table.rows[state] === undefined;
  }

  snapshot(state: State, context: ContextFrom<M>): SnapshotFrom<M> {
    return this.#machine().resolveState({ value: state, context }) as SnapshotFrom<M>;
  }
}
