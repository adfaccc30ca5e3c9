// Run plan: a topology and options, checked and brought into the form the engine takes.

import { OrchestraError } from "../base/errors.ts";
import type { TopologyInput } from "../topology/read.ts";
import { Topology } from "./topology.ts";
import type { AgentSource } from "./agent.ts";
import { assertAgentsKnown } from "./agent-source.ts";
import type { StartRequest } from "./engine-api.ts";
import { mergeExecutionConfig, resolveLimits, type ExecutionConfig } from "./execution-config.ts";
import { agentsOf, runCodeOf } from "./run-code.ts";
import { DEFAULT_ERROR_CONFIG, type SharedOptions, type TaskOptions } from "./run-options.ts";

export interface RunPlan {
  readonly request: StartRequest;
  readonly execution: ExecutionConfig;
}

/** A topology that may start, with the agents it was given. */
export interface CheckedTopology {
  readonly topology: Topology;
  readonly agents: AgentSource;
  readonly errorRouting: boolean;
}

/**
 * Reads and checks a topology; what is bound to one does this once.
 *
 * @throws {TopologyValidationError} `ORCH_TOPOLOGY_INVALID` with every problem at once.
 * @throws {OrchestraError} `ORCH_BAD_OPTION` without a topology.
 */
export function checkTopology(input: TopologyInput | undefined, shared: SharedOptions): CheckedTopology {
  if (input === undefined)
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      "topology: this instance has none, so it can resume sessions but not start them",
    );
  const errorRouting = shared.errorConfig?.enableErrorRouting ?? DEFAULT_ERROR_CONFIG.enableErrorRouting;
  const topology = Topology.from(input).assertValid({ functions: shared.conditions ?? {}, errorRouting });
  return { topology, agents: agentsOf(shared, input), errorRouting };
}

/**
 * What `engine.start` is to be asked for. `elsewhere`: agents that other hosts serve.
 *
 * @throws {OrchestraError} `ORCH_AGENT_UNKNOWN`, `ORCH_BAD_OPTION`.
 */
export function planRun(
  { topology, agents, errorRouting }: CheckedTopology,
  shared: SharedOptions,
  initialConfig: ExecutionConfig,
  task: TaskOptions,
  sessionId: string,
  elsewhere?: ReadonlySet<string>,
): RunPlan {
  const execution = mergeExecutionConfig(initialConfig, task.executionConfig ?? {});
  const mayComeLater = shared.bus !== undefined && shared.unserved !== undefined;
  if (!mayComeLater) assertAgentsKnown(topology.data, agents, elsewhere);
  const limits = resolveLimits({
    execution,
    maxSteps: task.maxSteps ?? shared.maxSteps,
    budget: { ...shared.budget, ...task.budget },
    errorRouting,
    rules: topology.data.limits,
  });
  const request: StartRequest = {
    sessionId,
    task: task.task,
    topology: topology.data,
    topologyHash: topology.hash,
    code: runCodeOf(agents, shared, execution),
    limits,
    ...(task.context !== undefined && { context: task.context }),
    ...(task.idempotencyKey !== undefined && { idempotencyKey: task.idempotencyKey }),
    ...(task.fresh !== undefined && { fresh: task.fresh }),
    ...(task.signal !== undefined && { signal: task.signal }),
    ...(execution.autoCheckpoint !== undefined && { autoCheckpoint: execution.autoCheckpoint }),
  };
  return { request, execution };
}
