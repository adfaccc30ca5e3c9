// The tables that live actors go by are what XState answers for the machines.

import { expect, it } from "vitest";
import { initialTransition, transition } from "xstate";
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate";
import type { RunStatus } from "../../src/actors/effects.ts";
import type { ChartTable } from "../../src/actors/chart.ts";
import { RUN_TABLE, runMachine } from "../../src/actors/run-machine.ts";
import { initialState } from "../../src/actors/reduce.ts";
import type { SessionState } from "../../src/actors/session-state.ts";
import { STEP_TABLE, stepMachine } from "../../src/actors/step-machine.ts";

/** What XState answers to each input and, in each state that is not final, to each event it takes. */
function answersOf(
  machine: AnyStateMachine,
  inputs: Readonly<Record<string, object>>,
  eventsAt: (context: { readonly session: SessionState }) => Readonly<Record<string, { readonly type: string }>>,
): ChartTable<string> {
  const firsts = Object.entries(inputs).map(([kind, input]) => [kind, initialTransition(machine, input)[0]] as const);
  const rows = new Map<string, Record<string, string>>();
  const ahead = firsts.map(([, snapshot]) => snapshot);
  for (let from = ahead.pop(); from !== undefined; from = ahead.pop()) {
    if (from.status !== "active" || rows.has(from.value)) continue;
    const row: Record<string, string> = {};
    rows.set(from.value, row);
    for (const [kind, event] of Object.entries(eventsAt(from.context))) {
      const to: AnyMachineSnapshot = transition(machine, from, event)[0];
      if (to === from) continue;
      row[kind] = to.value;
      ahead.push(to);
    }
  }
  return {
    firsts: Object.fromEntries(firsts.map(([kind, snapshot]) => [kind, snapshot.value])),
    rows: Object.fromEntries(rows),
  };
}

it("a step's table is what XState answers for its machine", () => {
  const types = ["step.claim", "step.succeed", "step.fail", "step.offer", "step.suspend", "step.cancel"];
  const events = {
    ...Object.fromEntries(types.map((type) => [type, { type, attempt: 2 }])),
    retry: { type: "step.fail", retryAtMs: 1 },
  };
  expect(answersOf(stepMachine(), { "": { stepId: "s1", node: "A", attempt: 1 } }, () => events)).toEqual(STEP_TABLE);
});

it("a run's table is what XState answers for its machine", () => {
  const session = initialState("s");
  const statuses = Object.keys(RUN_TABLE.firsts) as RunStatus[];
  const inStatus = (status: RunStatus): SessionState => ({ ...session, status });
  expect(
    answersOf(
      runMachine(),
      Object.fromEntries(statuses.map((status) => [status, { session: inStatus(status) }])),
      ({ session: from }) =>
        Object.fromEntries(
          statuses.map((status) => {
            const folded = { from, state: inStatus(status), effects: [], events: [], accepted: [], refused: [] };
            return [status, { type: "facts.committed", facts: [], atMs: 0, folded }];
          }),
        ),
    ),
  ).toEqual(RUN_TABLE);
});
