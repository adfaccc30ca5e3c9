// Follows the schedule of a finding on the bare reducer, knowing nothing but what it says.

import type { KernelEvent } from "../../src/actors/effects.ts";
import type { Fact, Outcome } from "../../src/actors/facts.ts";
import { initialState, reduce } from "../../src/actors/reduce.ts";
import type { RunState } from "../../src/actors/session-state.ts";
import { edgesToJudge, entryEdgesToJudge, planOf } from "../../src/actors/view.ts";
import type { ScheduledEnd } from "../../src/index.ts";
import { compilePlan } from "../../src/topology/compile.ts";
import { readTopology } from "../../src/topology/read.ts";
import { LIMITS } from "./play.ts";

export interface Followed {
  readonly run: RunState;
  readonly events: readonly KernelEvent[];
  /** Nodes of the steps that were handed out. */
  readonly started: readonly string[];
}

const NOTHING = { v: null };

export function follow(topology: unknown, schedule: readonly ScheduledEnd[]): Followed {
  const { data } = readTopology(topology);
  let state = initialState("s");
  const events: KernelEvent[] = [];
  for (const end of schedule) {
    const holding = (edges: readonly number[]): number[] =>
      edges.filter((id) => {
        const condition = plan.edges[id]!.data.condition!;
        if (!end.held.includes(condition) && !end.notHeld.includes(condition)) return false;
        return end.held.includes(condition);
      });
    const plan = end.of === "task" ? compilePlan(data, { errorRouting: true }) : planOf(state);
    const limits = { ...LIMITS, maxSteps: 1_000 };
    const fact: Fact =
      end.of === "task"
        ? {
            type: "run.started",
            runId: "r",
            task: NOTHING,
            topology: data,
            topologyHash: "",
            limits,
            held: holding(entryEdgesToJudge(plan)),
          }
        : end.of === "question"
          ? {
              type: "user.answered",
              questionId: `s/${end.id}`,
              value: end.end === "value" ? NOTHING : { v: end.end },
              held: holding(edgesToJudge(state, { questionId: `s/${end.id}` }, "value")),
            }
          : end.end === "failed"
            ? {
                type: "step.failed",
                stepId: end.id,
                attempt: 1,
                class: "permanent",
                error: { code: "ORCH_AGENT_FAILED", message: "as scheduled" },
                held: holding(edgesToJudge(state, { stepId: end.id }, "error")),
                tookMs: 1,
              }
            : {
                type: "step.succeeded",
                stepId: end.id,
                attempt: 1,
                outcome: outcomeOf(end),
                held: end.end === "value" ? holding(edgesToJudge(state, { stepId: end.id }, "value")) : [],
                tookMs: 1,
              };
    const reduced = reduce(state, fact, 1);
    if (reduced.refused !== undefined) throw new Error(`${JSON.stringify(end)}: ${reduced.refused}`);
    state = reduced.state;
    events.push(...reduced.events);
  }
  const started = events.flatMap((event) =>
    event.type === "step.started" || event.type === "user.asked" ? [event.node] : [],
  );
  return { run: state.run!, events, started };
}

function outcomeOf({ end, to }: ScheduledEnd): Outcome {
  if (end === "final") return { kind: "final", value: NOTHING };
  if (end === "invoke") return { kind: "invoke", agent: to[0]!, input: NOTHING };
  if (end === "parallel") return { kind: "parallel", items: to.map((agent) => ({ agent, input: NOTHING })) };
  return { kind: "value", value: NOTHING };
}
