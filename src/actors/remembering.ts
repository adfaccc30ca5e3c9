// Remembering
//
// For each event XState searches the chart anew: which transitions are enabled, what is left, what is entered. In a flat
// chart without entry and exit actions the answer for a state and a kind of event never changes. So the machine is asked
// once, its answer is kept, and only the context is worked out again, by the function that the machine's own actions
// call. What stands still is then a state of the chart, which all actors in it share, and a context.
//
// M1  What is not in the table yet goes to the machine.
// M2  The table keeps no context: nothing of a session outlives it here.

import type { AnyMachineSnapshot, AnyStateMachine, ContextFrom, EventFromLogic, InputFrom, SnapshotFrom } from "xstate";
import { loadedOnFirstUse } from "../base/on-first-use.ts";

const xstate = loadedOnFirstUse<typeof import("xstate")>("xstate");

export interface Remembered<M extends AnyStateMachine> {
  begin(input: InputFrom<M>): ContextFrom<M>;
  /** The context after an event that the machine's state takes. */
  fold(context: ContextFrom<M>, event: EventFromLogic<M>): ContextFrom<M>;
  /** All that the machine's guards look at, in one word. */
  kindOf(next: ContextFrom<M>, event?: EventFromLogic<M>): string;
}

/** A snapshot of the machine without its context. */
type State = AnyMachineSnapshot;

const IGNORED = Symbol("the state does not take the event");

/** `machine`, a flat chart whose actions only assign, with remembered transitions. */
export class Chart<M extends AnyStateMachine> {
  readonly #machine: M;
  readonly #parts: Remembered<M>;
  readonly #firsts = new Map<string, State>();
  readonly #rows = new Map<State, Map<string, State | typeof IGNORED>>();
  /** One object per state, however it is reached, so that rows can be found by it. */
  readonly #states = new Map<string, State>();

  constructor(machine: M, parts: Remembered<M>) {
    this.#machine = machine;
    this.#parts = parts;
  }

  begin(input: InputFrom<M>): ContextFrom<M> {
    return this.#parts.begin(input);
  }

  /** Where an actor with this input begins. */
  first(input: InputFrom<M>, context: ContextFrom<M>): State {
    const kind = this.#parts.kindOf(context);
    let state = this.#firsts.get(kind);
    if (state === undefined) {
      state = this.#known(xstate().initialTransition(this.#machine, input)[0]);
      this.#firsts.set(kind, state);
    }
    return state;
  }

  fold(context: ContextFrom<M>, event: EventFromLogic<M>): ContextFrom<M> {
    return this.#parts.fold(context, event);
  }

  /** Where `event` leads, with the context that `fold` made of it; undefined when the state does not take it. */
  next(state: State, before: ContextFrom<M>, after: ContextFrom<M>, event: EventFromLogic<M>): State | undefined {
    let row = this.#rows.get(state);
    if (row === undefined) this.#rows.set(state, (row = new Map()));
    const kind = this.#parts.kindOf(after, event);
    let next = row.get(kind);
    if (next === undefined) {
      const from = this.snapshot(state, before);
      const [found] = xstate().transition(this.#machine, from, event);
      next = found === from ? IGNORED : this.#known(found);
      row.set(kind, next);
    }
    return next === IGNORED ? undefined : next;
  }

  snapshot(state: State, context: ContextFrom<M>): SnapshotFrom<M> {
    const whole: AnyMachineSnapshot = { ...state, context };
    return whole as SnapshotFrom<M>;
  }

  #known(snapshot: State): State {
    const { value } = snapshot as { value: string };
    let state = this.#states.get(value);
    if (state === undefined) this.#states.set(value, (state = { ...snapshot, context: undefined }));
    return state;
  }
}
