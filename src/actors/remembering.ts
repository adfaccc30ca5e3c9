// Remembering
//
// For each event XState searches the chart anew: which transitions are enabled, what is left, what is entered. In a flat
// chart without entry and exit actions the answer for a state and a kind of event never changes. So the machine is asked
// once, its answer is kept, and only the context is worked out again, by the function that the machine's own actions
// call. An actor of this logic is an actor of the machine in a third of the time; a test holds the two equal.
//
// M1  What is not in the table yet, and every event of XState's own, goes to the machine.
// M2  The table keeps no context: nothing of a session outlives it here.

import type { AnyMachineSnapshot, AnyStateMachine, ContextFrom, EventFromLogic, InputFrom } from "xstate";

export interface Remembered<M extends AnyStateMachine> {
  begin(input: InputFrom<M>): ContextFrom<M>;
  /** The context after an event that the machine's state takes. */
  fold(context: ContextFrom<M>, event: EventFromLogic<M>): ContextFrom<M>;
  /** All that the machine's guards look at, in one word. */
  kindOf(next: ContextFrom<M>, event?: EventFromLogic<M>): string;
}

const IGNORED = Symbol("the state does not take the event");
type Row = Map<string, AnyMachineSnapshot | typeof IGNORED>;

/** The logic of `machine`, a flat chart whose actions only assign, with remembered transitions. */
export function remembering<M extends AnyStateMachine>(machine: M, { begin, fold, kindOf }: Remembered<M>): M {
  const firsts = new Map<string, AnyMachineSnapshot>();
  const rows = new Map<unknown, Row>();

  const getInitialSnapshot: M["getInitialSnapshot"] = (scope, input) => {
    const context = begin(input);
    const kind = kindOf(context);
    const known = firsts.get(kind);
    if (known !== undefined) return { ...known, context };
    const found = machine.getInitialSnapshot(scope, input);
    firsts.set(kind, { ...found, context: undefined });
    return found;
  };

  const transition: M["transition"] = (snapshot, event, scope) => {
    if (event.type.startsWith("xstate.")) return machine.transition(snapshot, event, scope);
    const context = fold(snapshot.context, event);
    const kind = kindOf(context, event);
    let row = rows.get(snapshot.value);
    if (row === undefined) rows.set(snapshot.value, (row = new Map()));
    const known = row.get(kind);
    if (known === IGNORED) return snapshot;
    if (known !== undefined) return { ...known, context };
    const found = machine.transition(snapshot, event, scope);
    row.set(kind, found === snapshot ? IGNORED : { ...found, context: undefined });
    return found;
  };

  return Object.create(machine, {
    getInitialSnapshot: { value: getInitialSnapshot },
    transition: { value: transition },
  });
}
