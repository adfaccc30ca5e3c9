// Follows the schedule of a finding on the bare reducer, knowing nothing but what it says.

import { expect } from "vitest";
import type { KernelEvent } from "../../src/actors/effects.ts";
import type { Fact, Outcome } from "../../src/actors/facts.ts";
import { initialState, reduce } from "../../src/actors/reduce.ts";
import { edgesToJudge, entryEdgesToJudge, planOf } from "../../src/actors/view.ts";
import type { CheckFinding, ScheduledEnd } from "../../src/index.ts";
import { compilePlan } from "../../src/topology/compile.ts";
import { readTopology } from "../../src/topology/read.ts";
import { LIMITS } from "./play.ts";

/** What of a run its observer can see. */
export interface Followed {
  readonly status: string;
  readonly error: { readonly code: string; readonly node?: string } | null;
  readonly boundsHit: readonly string[];
  /** Nodes of the steps that were handed out and the questions that were asked. */
  readonly started: readonly string[];
  readonly failedJoins: readonly string[];
  /** Errors branches failed with, and errors handed to handlers. */
  readonly errors: readonly string[];
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
  const { end, boundsHit } = state.run!;
  return { status: end?.status ?? "live", error: end?.error ?? null, boundsHit, ...seenIn(events) };
}

export function seenIn(events: readonly KernelEvent[]): Pick<Followed, "started" | "failedJoins" | "errors"> {
  return {
    started: events.flatMap((e) => (e.type === "step.started" || e.type === "user.asked" ? [e.node] : [])),
    failedJoins: events.flatMap((e) => (e.type === "barrier.fired" && e.decision === "failed" ? [e.node] : [])),
    errors: events.flatMap((e) => (e.type === "branch.ended" && e.error !== undefined ? [e.error.code] : [])),
  };
}

/** What a finding says has come about. */
export function expectToHappen({ code, nodes, message }: CheckFinding, followed: Followed): void {
  const { status, error, failedJoins, boundsHit, started, errors } = followed;
  const endsWith = (expected: string): void => {
    expect(error?.code).toBe(expected);
    expect(nodes).toContain(error?.node);
  };
  switch (code) {
    case "nothing_delivered":
      endsWith("ORCH_NO_ROUTE");
      break;
    case "loop_bound_fails":
      endsWith("ORCH_LOOP_BOUND");
      break;
    case "failure_ends_run":
      endsWith("ORCH_AGENT_FAILED");
      break;
    case "never_delivers":
      expect(status).toBe("failed");
      break;
    case "join_can_fail":
    case "join_never_satisfied":
      expect(failedJoins).toContain(nodes[0]);
      break;
    case "loop_bound_hit":
      expect(boundsHit.some((bound) => message.includes(bound))).toBe(true);
      break;
    case "unreached_node":
      expect(started).toContain(nodes[0]);
      break;
    case "unbounded_steps":
    case "cycle_without_exit":
      for (const node of nodes) expect(started).toContain(node);
      expect(error).toBeNull();
      break;
    case "call_without_reply":
      expect([...errors, error?.code]).toContain("ORCH_NO_ROUTE");
      break;
    default:
      throw new Error(`no such finding has a schedule: ${code}`);
  }
}

function outcomeOf({ end, to }: ScheduledEnd): Outcome {
  if (end === "final") return { kind: "final", value: NOTHING };
  if (end === "invoke") return { kind: "invoke", agent: to[0]!, input: NOTHING };
  if (end === "parallel") return { kind: "parallel", items: to.map((agent) => ({ agent, input: NOTHING })) };
  return { kind: "value", value: NOTHING };
}
