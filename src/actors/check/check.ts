// Check: what can be said of all runs of a topology, by trying them.

import { OrchestraError } from "../../base/errors.ts";
import { compilePlan } from "../../topology/compile.ts";
import type { TopologyData } from "../../topology/types.ts";
import type { RunLimits } from "../facts.ts";
import { FREEDOM } from "./choices.ts";
import { Exploration } from "./explore.ts";
import { Findings } from "./findings.ts";
import { DEFAULT_MAX_STATES, type CheckOptions, type CheckReport } from "./report.ts";
import { StateGraph } from "./state-graph.ts";

/**
 * Explores what runs of a topology can come to. `data` has no validation errors.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` when `maxStates` is no whole number from 1.
 */
export function checkTopology(data: TopologyData, options: CheckOptions = {}): CheckReport {
  const { maxStates = DEFAULT_MAX_STATES, errorRouting = true } = options;
  if (!Number.isSafeInteger(maxStates) || maxStates < 1) {
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `maxStates: expected a whole number from 1, got ${JSON.stringify(maxStates)}`,
    );
  }
  const plan = compilePlan(data, { errorRouting });
  const explored = new Exploration(data, plan, limitsOf(errorRouting), { maxStates }).run();
  const byValues = new StateGraph(explored, FREEDOM.noneHeld);
  const byFailures = new StateGraph(explored, FREEDOM.failures);
  const findings = new Findings(plan, data, explored, byValues, byFailures).all();
  const complete = explored.complete[FREEDOM.failures] === true;
  return {
    ok: findings.every(({ severity }) => severity !== "error"),
    findings,
    worstCaseSteps: byFailures.longest(),
    explored: explored.states.length,
    complete,
    proven: {
      alwaysEnds: complete && byFailures.lap() === undefined,
      alwaysDelivers:
        explored.complete[FREEDOM.noneHeld] === true &&
        byValues.lap() === undefined &&
        explored.states.every(
          ({ ended, freedom }) => freedom > FREEDOM.noneHeld || ended === null || ended.status === "completed",
        ),
    },
  };
}

/** Nothing bounds these runs but the topology, and nothing times out. */
export function limitsOf(errorRouting: boolean): RunLimits {
  return {
    maxSteps: Number.MAX_SAFE_INTEGER,
    tokens: false,
    costUsd: false,
    durationMs: false,
    maxAgents: false,
    branchTimeoutMs: false,
    convergenceTimeoutMs: false,
    stepTimeoutMs: false,
    convergencePolicy: {},
    convergence: true,
    errorRouting,
  };
}
