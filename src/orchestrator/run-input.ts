// Run input: what `startRun` takes, in either of its spellings, and how it becomes a run spec.

import { isAbsolute, normalize, resolve, sep } from "node:path";

import { OrchestraError } from "../base/errors.ts";
import {
  anything,
  assertOptions,
  check,
  countFrom0,
  isRecord,
  list,
  object,
  shown,
  text,
} from "../runtime/option-schema.ts";
import { isLeftOut } from "./changed-files.ts";
import { NAME_LENGTH_MAX } from "./event-room.ts";
import { loopPolicySchema, readLoopPolicy, type CommandSpec, type LoopPolicy } from "./loop-policy.ts";
import {
  PRIORITIES,
  STRATEGIES,
  type Priority,
  type RunProvenance,
  type RunSpec,
  type RunTeam,
  type SeededEntry,
  type Strategy,
} from "./run-spec.ts";
import type { CustomCriterion } from "./success-criteria.ts";

export interface StartRunInput {
  /** What is to be done, 1 to 10,000 characters unless the orchestrator says otherwise. `taskDescription` is the same. */
  readonly description?: string;
  readonly taskDescription?: string;
  /** Names the run. Default: a new id. */
  readonly runId?: string;
  /** How the agents are put together where the orchestrator has no topology. Default "adaptive". */
  readonly strategy?: Strategy;
  /** Handed on to agents. Default "medium". */
  readonly priority?: Priority;
  readonly loopPolicy?: LoopPolicy;
  /** What agents are given to begin with; `memorySeed` is the same. */
  readonly initialMemoryEntries?: readonly SeededEntry[];
  readonly memorySeed?: readonly SeededEntry[];
  /** How many entries that earlier runs left and that fit the description are handed to the team, from the project's memory or, without a project in `provenance`, from all. Default 0. */
  readonly recall?: number;
  /** Where commands run and whose files are looked at. Default: where this process runs. */
  readonly cwd?: string;
  /** Judged by the orchestrator's `acceptance` agent after every iteration. */
  readonly acceptanceCriteria?: readonly string[];
  /** Files and folders below `cwd` that may change. Default: all. */
  readonly allowedPaths?: readonly string[];
  /** Files and folders below `cwd` that may not change; stronger than `allowedPaths`. */
  readonly forbiddenPaths?: readonly string[];
  readonly provenance?: RunProvenance;
}

export interface ReadRun {
  readonly runId: string | undefined;
  readonly spec: RunSpec;
  readonly custom: Readonly<Record<string, CustomCriterion>>;
  readonly recall: number;
}

export interface InputDefaults {
  readonly descriptionLengthMax: number;
  /** Commands behind `lint: true` and its like. */
  readonly commands: Readonly<Record<string, CommandSpec>>;
  /** Names of criteria that the orchestrator has itself. */
  readonly customNames: readonly string[];
  readonly judges: boolean;
  readonly team: RunTeam;
}

const oneOf = (names: readonly string[]): ReturnType<typeof check> =>
  check((value) => value === undefined || names.includes(value as string), names.map((name) => `"${name}"`).join(", "));
const texts = list(text);
const name = check(
  (value) => value === undefined || (typeof value === "string" && value !== "" && value.length <= NAME_LENGTH_MAX),
  `a text of 1 to ${NAME_LENGTH_MAX} characters`,
);
const seeds = list(
  object({ key: name, value: anything, namespace: name, metadata: check(isRecordOrNothing, "an object") }),
);

const inputSchema = object({
  description: anything,
  taskDescription: anything,
  runId: text,
  strategy: oneOf(STRATEGIES),
  priority: oneOf(PRIORITIES),
  loopPolicy: loopPolicySchema,
  initialMemoryEntries: seeds,
  memorySeed: seeds,
  recall: countFrom0,
  cwd: text,
  acceptanceCriteria: texts,
  allowedPaths: texts,
  forbiddenPaths: texts,
  provenance: check(isRecordOrNothing, "an object"),
});

/** @throws {OrchestraError} `ORCH_BAD_OPTION` with everything that is wrong. */
export function readRunInput(input: StartRunInput, defaults: InputDefaults): ReadRun {
  assertOptions(inputSchema, input, "startRun");
  const description = descriptionOf(input, defaults.descriptionLengthMax);
  const policy = readLoopPolicy(input.loopPolicy ?? {}, defaults);
  const { allowedPaths, forbiddenPaths = [], acceptanceCriteria = [], provenance = {} } = input;
  if (acceptanceCriteria.length > 0 && !defaults.judges)
    throw bad("acceptanceCriteria: nobody can judge them; give createOrchestrator an `acceptance` agent");
  if (input.initialMemoryEntries !== undefined && input.memorySeed !== undefined)
    throw bad("memorySeed: is the same as initialMemoryEntries; expected one of them");
  const bounded = allowedPaths !== undefined || forbiddenPaths.length > 0;
  const spec: RunSpec = {
    description,
    team: defaults.team,
    strategy: input.strategy ?? "adaptive",
    priority: input.priority ?? "medium",
    cwd: resolve(input.cwd ?? "."),
    acceptanceCriteria,
    ...(allowedPaths !== undefined && { allowedPaths: allowedPaths.map((path) => insidePath("allowedPaths", path)) }),
    forbiddenPaths: forbiddenPaths.map(forbiddenPath),
    provenance,
    maxIterations: policy.maxIterations,
    budget: policy.budget,
    ...(policy.retry !== undefined && { retry: policy.retry }),
    checks: [
      ...(bounded ? [{ kind: "paths", name: "paths" } as const] : []),
      ...policy.checks,
      ...(acceptanceCriteria.length > 0 ? [{ kind: "acceptance", name: "acceptance" } as const] : []),
    ],
    seeds: input.initialMemoryEntries ?? input.memorySeed ?? [],
  };
  return { runId: input.runId, spec, custom: policy.custom, recall: input.recall ?? 0 };
}

function descriptionOf({ description, taskDescription }: StartRunInput, lengthMax: number): string {
  if (description !== undefined && taskDescription !== undefined)
    throw bad("taskDescription: is the same as description; expected one of them");
  const given: unknown = description ?? taskDescription;
  if (typeof given !== "string" || given.trim() === "")
    throw bad(`description: expected a text that says what is to be done, got ${shown(given)}`);
  if (given.length > lengthMax) throw bad(`description: expected at most ${lengthMax} characters, got ${given.length}`);
  return given;
}

function forbiddenPath(path: string): string {
  const clean = insidePath("forbiddenPaths", path);
  if (isLeftOut(clean))
    throw bad(`forbiddenPaths: ${shown(path)} is not looked at: .git and node_modules are left out`);
  return clean;
}

/** With `/`, relative, without a slash at its end. */
function insidePath(option: string, path: string): string {
  const clean = normalize(path).split(sep).join("/").replace(/\/+$/, "");
  if (isAbsolute(path) || clean === ".." || clean.startsWith("../"))
    throw bad(`${option}: expected a path below cwd, got ${shown(path)}`);
  return clean;
}

function isRecordOrNothing(value: unknown): boolean {
  return value === undefined || isRecord(value);
}

function bad(problem: string): OrchestraError {
  return new OrchestraError("ORCH_BAD_OPTION", `startRun.${problem}`);
}
