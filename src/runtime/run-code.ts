// Run code: the functions behind a run, brought together from options. They are not stored; each process brings its own.

import type { TopologyInput } from "../topology/read.ts";
import type { AgentSource } from "./agent.ts";
import { eitherSource, toAgentSource, withoutErrorContext } from "./agent-source.ts";
import type { RunCode } from "./engine-api.ts";
import { DEFAULT_EXECUTION_CONFIG, resolveRetryPolicies, type ExecutionConfig } from "./execution-config.ts";
import { ownAgents } from "./own-agents.ts";
import { DEFAULT_ERROR_CONFIG, type SharedOptions } from "./run-options.ts";

/** Agents handed over come before those the topology carries. @throws {OrchestraError} `ORCH_BAD_OPTION` for what is no agent. */
export function agentsOf(
  options: Pick<SharedOptions, "agents" | "agentRegistry" | "errorConfig">,
  topology: TopologyInput | undefined,
): AgentSource {
  const given = toAgentSource(options.agents ?? options.agentRegistry ?? {});
  const own = toAgentSource(ownAgents(topology), "topology.nodes");
  const agents = own.names().length === 0 ? given : eitherSource(given, own);
  const preserve = options.errorConfig?.preserveErrorContext ?? DEFAULT_ERROR_CONFIG.preserveErrorContext;
  return preserve ? agents : withoutErrorContext(agents);
}

export function runCodeOf(
  agents: AgentSource,
  options: Pick<SharedOptions, "conditions">,
  execution: ExecutionConfig,
): RunCode {
  return {
    agents,
    conditions: options.conditions ?? {},
    retry: resolveRetryPolicies(execution),
    ...(execution.autoCheckpoint !== undefined && { autoCheckpoint: execution.autoCheckpoint }),
    steeringMode: execution.steeringMode ?? DEFAULT_EXECUTION_CONFIG.steeringMode,
    maxConcurrency: execution.maxConcurrency ?? DEFAULT_EXECUTION_CONFIG.maxConcurrency,
  };
}
