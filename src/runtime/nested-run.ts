// Nested runs: what `ctx.run` takes, and how it becomes a run of its own inside the step.

import { OrchestraError } from "../base/errors.ts";
import type { TopologyInput } from "../topology/read.ts";
import { eitherSource, isAgentDirectory } from "./agent-source.ts";
import type { RunCode, StartRequest } from "./engine-api.ts";
import { budgetSchema, executionConfigSchema, maxStepsSchema } from "./execution-config.ts";
import { anything, assertOptions, check, isRecord, object, record } from "./option-schema.ts";
import { agentsOf } from "./run-code.ts";
import { errorConfigSchema, type SharedOptions, type TaskOptions } from "./run-options.ts";
import { checkTopology, planRun } from "./run-plan.ts";

/** As for `Orchestra.run`, as far as it makes sense inside a step; agents and conditions come on top of those of the run around it. */
export type NestedRunOptions = Pick<TaskOptions, "task" | "context" | "executionConfig" | "maxSteps" | "budget"> &
  Pick<SharedOptions, "agents" | "conditions" | "errorConfig"> & { readonly topology: TopologyInput };

const nestedSchema = object({
  // A nested run's task is a value of the run around it, so it may be any.
  task: anything,
  topology: anything,
  agents: check(
    (value) => isAgentDirectory(value) || isRecord(value),
    "a record of agents by name, or an AgentRegistry",
  ),
  conditions: record,
  errorConfig: errorConfigSchema,
  context: record,
  executionConfig: executionConfigSchema,
  maxSteps: maxStepsSchema,
  budget: budgetSchema,
});

/** @throws {OrchestraError} as `Orchestra.run` for what cannot start. */
export function planNestedRun(options: unknown, around: RunCode): Omit<StartRequest, "sessionId" | "parent"> {
  assertOptions(nestedSchema, options, "ctx.run");
  const nested = options as NestedRunOptions;
  if (nested.topology === undefined)
    throw new OrchestraError("ORCH_BAD_OPTION", "ctx.run.topology: expected a topology, got undefined");
  const agents = eitherSource(agentsOf(nested, nested.topology), around.agents);
  const shared: SharedOptions = {
    agentRegistry: agents,
    conditions: { ...around.conditions, ...nested.conditions },
    ...(nested.errorConfig !== undefined && { errorConfig: nested.errorConfig }),
  };
  const { request } = planRun(checkTopology(nested.topology, shared), shared, {}, nested, "");
  const { sessionId: _named, ...rest } = request;
  return {
    ...rest,
    task: nested.task ?? null,
    code: {
      ...rest.code,
      retry: nested.executionConfig?.retry === undefined ? around.retry : rest.code.retry,
      ...(nested.executionConfig?.steeringMode === undefined && { steeringMode: around.steeringMode ?? "auto" }),
      ...(around.stays === true && { stays: true }),
    },
  };
}
