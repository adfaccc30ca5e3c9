// Checks: how each kind of success criterion is judged. What a check throws, unless its run was stopped, is a check that failed.

import { errorToData } from "../base/error-data.ts";
import { OrchestraError } from "../base/errors.ts";
import type { AgentContext } from "../runtime/agent.ts";
import { isRecord, shown } from "../runtime/option-schema.ts";
import type { OrchestraResult } from "../runtime/result.ts";
import type { AgentLike } from "../runtime/agent-source.ts";
import type { Backend } from "./backend.ts";
import { endingOf, type CheckResult } from "./check-result.ts";
import { misplacedChanges, type FileList } from "./changed-files.ts";
import type { CheckSpec, RunSpec } from "./run-spec.ts";
import type { CustomCriterion } from "./success-criteria.ts";

export interface CheckPorts {
  readonly backend: Backend;
  readonly acceptance: AgentLike | undefined;
  /** `undefined`: this process has no such function. */
  custom(runId: string, name: string): CustomCriterion | undefined;
  /** Pauses the run until a process that has it goes on with it. */
  lackCustom(runId: string, name: string): Promise<never>;
}

/** What a check is made on. */
export interface CheckTask {
  readonly runId: string;
  readonly iteration: number;
  /** In the spec's list of checks. */
  readonly index: number;
  readonly output: unknown;
  readonly checks: readonly CheckResult[];
  /** Of `cwd` before the first iteration; absent where nothing bounds what may change. */
  readonly before?: FileList;
}

type Verdict = Omit<CheckResult, "name">;

export async function makeCheck(
  ports: CheckPorts,
  spec: RunSpec,
  task: CheckTask,
  ctx: AgentContext,
): Promise<CheckResult> {
  const check = spec.checks[task.index];
  if (check === undefined) throw new TypeError(`run ${task.runId} has no check ${task.index}`);
  try {
    const verdict = await judge(ports, spec, check, task, ctx);
    return { name: check.name, ...verdict, output: endingOf(verdict.output) };
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    return { name: check.name, passed: false, output: endingOf(errorToData(error).message) };
  }
}

async function judge(
  ports: CheckPorts,
  spec: RunSpec,
  check: CheckSpec,
  task: CheckTask,
  ctx: AgentContext,
): Promise<Verdict> {
  switch (check.kind) {
    case "command":
      return ports.backend.runCommand({ ...check, cwd: spec.cwd, runId: task.runId, iteration: task.iteration }, ctx);
    case "custom":
      return judgeCustom(ports, check.name, task, ctx);
    case "acceptance":
      return judgeAcceptance(ports, spec, task, ctx);
    case "paths": {
      const misplaced = await misplacedChanges(spec, task.before ?? []);
      return { passed: misplaced.length === 0, output: misplaced.join("\n") };
    }
  }
}

async function judgeCustom(ports: CheckPorts, name: string, task: CheckTask, ctx: AgentContext): Promise<Verdict> {
  const { runId, iteration, output, checks } = task;
  const criterion = ports.custom(runId, name) ?? (await ports.lackCustom(runId, name));
  const said: unknown = await criterion({ runId, iteration, output, checks, signal: ctx.signal });
  return verdictOf(said, `criterion "${name}"`);
}

async function judgeAcceptance(
  { acceptance }: CheckPorts,
  { acceptanceCriteria, description }: RunSpec,
  { output, checks, iteration }: CheckTask,
  ctx: AgentContext,
): Promise<Verdict> {
  if (acceptance === undefined)
    throw new OrchestraError("ORCH_BAD_OPTION", "createOrchestrator.acceptance: this process has no agent that judges");
  const result: OrchestraResult = await ctx.run({
    task: { description, acceptanceCriteria, output, checks, iteration },
    topology: { nodes: ["Acceptance"], edges: [] },
    agents: { Acceptance: acceptance },
  });
  return verdictOf(result.orThrow().finalResponse, "the acceptance agent");
}

function verdictOf(said: unknown, who: string): Verdict {
  if (typeof said === "boolean") return { passed: said, output: said ? "" : `${who} said no` };
  if (isRecord(said) && typeof said["passed"] === "boolean") {
    const { passed, output } = said;
    return { passed, output: typeof output === "string" ? output : passed ? "" : `${who} said no` };
  }
  throw new OrchestraError(
    "ORCH_INVALID_OUTPUT",
    `${who}: expected true, false or { passed, output? }, got ${shown(said)}`,
  );
}
