// Success criteria: what must hold after an iteration for the run to have converged.

import { OrchestraError } from "../base/errors.ts";
import type { MaybePromise } from "../runtime/agent.ts";
import {
  anything,
  assertOptions,
  check,
  durationMs,
  isRecord,
  list,
  object,
  shown,
  text,
} from "../runtime/option-schema.ts";
import type { CheckResult } from "./check-result.ts";
import { NAMES_BYTES_MAX } from "./event-room.ts";
import type { CheckSpec } from "./run-spec.ts";

/** What a criterion of your own is judged on. */
export interface CriterionInput {
  readonly runId: string;
  /** From 1. */
  readonly iteration: number;
  /** What the team came to in this iteration. */
  readonly output: unknown;
  /** Checks of this iteration that were made before. */
  readonly checks: readonly CheckResult[];
  readonly signal: AbortSignal;
}

/** Whether it holds; an object says why, and that is fed back to the next iteration. What it throws counts as "no". */
export type CustomCriterion = (
  result: CriterionInput,
) => MaybePromise<boolean | { readonly passed: boolean; readonly output?: string }>;

export interface CommandSpec {
  readonly command: string;
  readonly args?: readonly string[];
  /** Default 600_000; `false` for none. */
  readonly timeoutMs?: number | false;
}

/** `true`: the orchestrator's command of that name. A text is split at its spaces; no shell reads it. */
export type CommandCriterion = boolean | string | readonly string[] | CommandSpec;

export interface SuccessCriteria {
  /** Default command: `npm test`. `unit` is the same. */
  readonly tests?: CommandCriterion;
  readonly unit?: CommandCriterion;
  /** Default command: `npm run lint`. */
  readonly lint?: CommandCriterion;
  /** Default command: `npm run typecheck`. */
  readonly typecheck?: CommandCriterion;
  /** A function, functions by name, or names of those that `createOrchestrator` was given as `criteria`. */
  readonly custom?: CustomCriterion | Readonly<Record<string, CustomCriterion>> | readonly string[];
}

export const DEFAULT_COMMANDS: Readonly<Record<string, CommandSpec>> = Object.freeze({
  lint: { command: "npm", args: ["run", "--silent", "lint"] },
  typecheck: { command: "npm", args: ["run", "--silent", "typecheck"] },
  tests: { command: "npm", args: ["test", "--silent"] },
});
export const CHECK_TIMEOUT_MS = 600_000;

export const criteriaByName = check((value) => value === undefined || isFunctions(value), "functions by name");

export const successCriteriaSchema = object({
  tests: anything,
  unit: anything,
  lint: anything,
  typecheck: anything,
  custom: check(
    (value) => value === undefined || typeof value === "function" || isNames(value) || isFunctions(value),
    "a function, functions by name, or a list of names",
  ),
});

const PATH = "startRun.loopPolicy.successCriteria";
const commandSchema = object({
  command: text,
  args: list(check((value) => typeof value === "string", "a text")),
  timeoutMs: durationMs,
});

interface Known {
  readonly commands: Readonly<Record<string, CommandSpec>>;
  readonly customNames: readonly string[];
}

/** In the order in which they are made: the cheap ones first. @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function readSuccessCriteria(
  given: SuccessCriteria,
  { commands, customNames }: Known,
): { readonly checks: readonly CheckSpec[]; readonly custom: Readonly<Record<string, CustomCriterion>> } {
  if (given.tests !== undefined && given.unit !== undefined)
    throw bad("unit", "is the same as tests; expected one of them");
  const asked = { lint: given.lint, typecheck: given.typecheck, tests: given.tests ?? given.unit };
  const checks = Object.entries(asked).flatMap(([name, criterion]): CheckSpec[] => {
    if (criterion === undefined || criterion === false) return [];
    const known = criterion === true ? commands[name] : commandOf(`${PATH}.${name}`, criterion);
    if (known === undefined) throw bad(name, "the orchestrator has no command of that name");
    const { command, args = [], timeoutMs = CHECK_TIMEOUT_MS } = known;
    return [{ kind: "command", name, command, args, timeoutMs }];
  });
  const custom = customOf(given.custom, customNames);
  const taken = new Set(["paths", "acceptance", ...checks.map(({ name }) => name)]);
  for (const { name } of custom.checks) {
    if (taken.has(name)) throw bad("custom", `${shown(name)} is the name of another check`);
    taken.add(name);
  }
  const bytes = Buffer.byteLength(JSON.stringify([...taken]));
  if (bytes > NAMES_BYTES_MAX)
    throw bad("custom", `the names of all checks come to ${bytes} bytes; expected at most ${NAMES_BYTES_MAX}`);
  return { checks: [...checks, ...custom.checks], custom: custom.functions };
}

function customOf(
  given: SuccessCriteria["custom"],
  known: readonly string[],
): { readonly checks: readonly CheckSpec[]; readonly functions: Readonly<Record<string, CustomCriterion>> } {
  if (given === undefined) return { checks: [], functions: {} };
  if (isNames(given)) {
    const missing = given.filter((name) => !known.includes(name));
    if (missing.length > 0)
      throw bad(
        "custom",
        `the orchestrator has no criteria ${missing.map(shown).join(", ")}; it has ${known.map(shown).join(", ") || "none"}`,
      );
    return { checks: given.map((name) => ({ kind: "custom", name })), functions: {} };
  }
  const functions = typeof given === "function" ? { custom: given } : given;
  return { checks: Object.keys(functions).map((name) => ({ kind: "custom", name })), functions };
}

/** @param path of the option, for refusals. @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function commandOf(path: string, given: unknown): CommandSpec {
  const refuse = (problem: string): OrchestraError => new OrchestraError("ORCH_BAD_OPTION", `${path}: ${problem}`);
  const listed = (words: readonly unknown[]): CommandSpec => {
    const [command, ...args] = words;
    if (typeof command !== "string" || command === "" || !args.every((one) => typeof one === "string"))
      throw refuse("expected a program and its arguments, each a text");
    return { command, args: args as string[] };
  };
  if (typeof given === "string") {
    if (/["'`$|&;<>(){}*?\\\n]/.test(given))
      throw refuse(`${shown(given)} needs a shell, and none reads it; expected a program and its arguments as a list`);
    return listed(given.split(/\s+/).filter((word) => word !== ""));
  }
  if (Array.isArray(given)) return listed(given);
  if (isRecord(given) && typeof given["command"] === "string") {
    assertOptions(commandSchema, given, path);
    const { command, args = [], timeoutMs } = given as Partial<CommandSpec>;
    return { ...listed([command, ...args]), ...(timeoutMs !== undefined && { timeoutMs }) };
  }
  throw refuse(`expected true, a program with its arguments, or { command, args }, got ${shown(given)}`);
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string" && one !== "");
}

function isFunctions(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((one) => typeof one === "function");
}

function bad(option: string, problem: string): OrchestraError {
  return new OrchestraError("ORCH_BAD_OPTION", `${PATH}.${option}: ${problem}`);
}
