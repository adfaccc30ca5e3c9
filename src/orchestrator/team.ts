// Team: the agents of an orchestrator as one agent, which runs their topology once per iteration.

import { OrchestraError } from "../base/errors.ts";
import type { OrchestraResult } from "../runtime/result.ts";
import { assertAgentsKnown, missingAgents } from "../runtime/agent-source.ts";
import type { AgentContext } from "../runtime/agent.ts";
import type { AgentsOption, Condition } from "../runtime/run-options.ts";
import type { ExecutionConfig } from "../runtime/execution-config.ts";
import { PatternConfig } from "../topology/patterns.ts";
import type { TopologyInput } from "../topology/read.ts";
import type { CheckResult } from "./check-result.ts";
import type { TeamOutcome } from "./loop.ts";
import { budgetOf } from "./run-events.ts";
import { agentsOf } from "../runtime/run-code.ts";
import { Topology } from "../runtime/topology.ts";
import type { Priority, RunSpec, RunTeam, SeededEntry, Strategy } from "./run-spec.ts";

export interface Team {
  readonly agents: AgentsOption;
  /** Default: made from the agents by the run's strategy. */
  readonly topology?: TopologyInput;
  readonly conditions?: Readonly<Record<string, Condition>>;
  readonly executionConfig?: ExecutionConfig;
  /** Agent steps of one iteration. Default 100. */
  readonly maxSteps?: number | false;
}

/** The task that the team's entry gets as its input, and every agent of it as `ctx.task`. */
export interface IterationTask {
  readonly runId: string;
  readonly description: string;
  /** From 1. */
  readonly iteration: number;
  readonly maxIterations: number;
  /** Checks of the iteration before that failed, with what they said. */
  readonly feedback: readonly CheckResult[];
  /** What the run was given to begin with, then what it recalled of earlier runs. */
  readonly memory: readonly SeededEntry[];
  readonly acceptanceCriteria: readonly string[];
  readonly cwd: string;
  readonly allowedPaths?: readonly string[];
  readonly forbiddenPaths: readonly string[];
  readonly strategy: Strategy;
  readonly priority: Priority;
}

export function iterationTask(
  runId: string,
  spec: RunSpec,
  { iteration, feedback }: { readonly iteration: number; readonly feedback: readonly CheckResult[] },
): IterationTask {
  return {
    runId,
    description: spec.description,
    iteration,
    maxIterations: spec.maxIterations,
    feedback,
    memory: memoryOf(spec),
    acceptanceCriteria: spec.acceptanceCriteria,
    cwd: spec.cwd,
    ...(spec.allowedPaths !== undefined && { allowedPaths: spec.allowedPaths }),
    forbiddenPaths: spec.forbiddenPaths,
    strategy: spec.strategy,
    priority: spec.priority,
  };
}

function memoryOf({ seeds, recalled = [] }: RunSpec): readonly SeededEntry[] {
  return [...seeds, ...recalled];
}

/** The team as a run keeps it. @throws {OrchestraError} `ORCH_BAD_OPTION`, `ORCH_AGENT_UNKNOWN` */
export function runTeamOf(team: Team): RunTeam {
  const agents = agentsOf(team, team.topology);
  const names = agents.names();
  if (names.length === 0)
    throw new OrchestraError("ORCH_BAD_OPTION", "createOrchestrator.agents: expected at least one agent");
  if (team.topology === undefined) return { agents: names };
  const { data } = Topology.from(team.topology);
  assertAgentsKnown(data, agents);
  return { agents: names, topology: data };
}

/** @throws {OrchestraError} `ORCH_AGENT_UNKNOWN` when the run was begun by a team that has other agents. */
export function assertTeamFits(team: Team, runId: string, { team: wanted, strategy }: RunSpec): void {
  const { data } = Topology.from(wanted.topology ?? topologyFor(strategy, wanted.agents));
  const missing = missingAgents(data, agentsOf(team, team.topology));
  if (missing === undefined) return;
  throw new OrchestraError("ORCH_AGENT_UNKNOWN", `run "${runId}" is of another team: ${missing.message}`, {
    details: { sessionId: runId, ...missing.details },
  });
}

/** One go of the team. What it fails of is an outcome; what it throws is the runtime's. */
export async function runTeam(team: Team, spec: RunSpec, task: IterationTask, ctx: AgentContext): Promise<TeamOutcome> {
  const { conditions, executionConfig = {}, maxSteps } = team;
  const result: OrchestraResult = await ctx.run({
    task,
    topology: spec.team.topology ?? topologyFor(spec.strategy, spec.team.agents),
    agents: agentsOf(team, team.topology),
    ...(conditions !== undefined && { conditions }),
    ...(maxSteps !== undefined && { maxSteps }),
    executionConfig: {
      ...executionConfig,
      ...(spec.retry !== undefined && { retry: { ...executionConfig.retry, ...spec.retry } }),
    },
    context: { runId: task.runId, iteration: task.iteration, memory: memoryOf(spec), provenance: spec.provenance },
  });
  if (result.status === "completed") return { type: "done", output: result.finalResponse };
  const budget = budgetOf(result.metadata.terminalReason);
  if (budget !== undefined) return { type: "exhausted", budget };
  return { type: "failed", error: result.error ?? { code: "ORCH_CANCELLED", message: "the team's run was cancelled" } };
}

/** Agents in the order in which they were given. adaptive and balanced: the first leads the others. */
function topologyFor(strategy: Strategy, names: readonly string[]): TopologyInput {
  const [first = "", ...others] = names;
  if (others.length === 0) return { nodes: [first], edges: [] };
  switch (strategy) {
    case "sequential":
      return { nodes: names, edges: others.map((name, i) => `${names[i]!} -> ${name}`) };
    case "parallel":
      return PatternConfig.broadcast({ broadcaster: first, receivers: others });
    case "adaptive":
    case "balanced":
      return PatternConfig.hubAndSpoke({ hub: first, spokes: others, parallelSpokes: strategy === "balanced" });
  }
}

export function agentNamesOf(team: Team): readonly string[] {
  return agentsOf(team, team.topology).names();
}
