// Team: the agents of an orchestrator as one agent, which runs their topology once per iteration.

import { OrchestraError } from "../base/errors.ts";
import type { OrchestraResult } from "../runtime/result.ts";
import { isAgentDirectory, type AgentDirectory } from "../runtime/agent-source.ts";
import type { AgentContext } from "../runtime/agent.ts";
import type { AgentsOption, Condition } from "../runtime/run-options.ts";
import type { ExecutionConfig } from "../runtime/execution-config.ts";
import { PatternConfig } from "../topology/patterns.ts";
import type { TopologyInput } from "../topology/read.ts";
import type { CheckResult } from "./check-result.ts";
import type { TeamOutcome } from "./loop.ts";
import { budgetOf } from "./run-events.ts";
import type { Priority, RunSpec, SeededEntry, Strategy } from "./run-spec.ts";

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

/** One go of the team. What it fails of is an outcome; what it throws is the runtime's. */
export async function runTeam(team: Team, spec: RunSpec, task: IterationTask, ctx: AgentContext): Promise<TeamOutcome> {
  const { agents, conditions, executionConfig = {}, maxSteps } = team;
  const result: OrchestraResult = await ctx.run({
    task,
    topology: team.topology ?? topologyFor(spec.strategy, agents),
    agents,
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
export function topologyFor(strategy: Strategy, agents: AgentsOption): TopologyInput {
  const names = namesOf(agents);
  const [first, ...others] = names;
  if (first === undefined)
    throw new OrchestraError("ORCH_BAD_OPTION", "createOrchestrator.agents: expected at least one agent");
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

export function namesOf(agents: AgentsOption): readonly string[] {
  return isAgentDirectory(agents) ? (agents satisfies AgentDirectory).names() : Object.keys(agents);
}
