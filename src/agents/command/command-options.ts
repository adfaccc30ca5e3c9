// Command options: what `commandAgent` takes, and how it is checked.

import type { StandardSchemaV1 } from "@standard-schema/spec";

import type { FailureClass } from "../../actors/facts.ts";
import type { Clock } from "../../base/clock.ts";
import { OrchestraError } from "../../base/errors.ts";
import type { AgentContext, RetryPolicy } from "../../runtime/agent.ts";
import { shown } from "../../runtime/option-schema.ts";
import { isStandardSchema } from "../standard-schema.ts";
import type { ExitCodes } from "./command-result.ts";
import { SecretMask } from "./secret-mask.ts";

type Of<T> = T | ((input: any, ctx: AgentContext) => T);

export interface CommandAgentOptions {
  readonly name: string;
  readonly description?: string;
  /** The program: a path, or a name that is looked for in PATH. Never a line for a shell. */
  readonly command: string;
  /** Each is one argument as it is: nothing in it is split, expanded or quoted. A program may still read one that begins with `-` as an option. */
  readonly args?: Of<readonly string[]>;
  /** What the program reads. Default: the input; text and bytes as they are, `null` as nothing, everything else as JSON. */
  readonly stdin?: Of<string | Uint8Array | null>;
  /** Where it runs; checked before it is started. Default: where this process runs. */
  readonly cwd?: Of<string>;
  /** `cwd` must be inside of this folder, links followed. */
  readonly cwdWithin?: string;
  /** Variables it inherits from this process, and no others. Default: DEFAULT_INHERITED. */
  readonly inherit?: readonly string[];
  /** Variables set besides. */
  readonly env?: Of<Readonly<Record<string, string>>>;
  /** Variables whose values are secrets: names, to inherit them, or values. */
  readonly secretEnv?: readonly string[] | Of<Readonly<Record<string, string>>>;
  /** Other texts that may be in no chunk, log line, result or error. */
  readonly secrets?: Of<readonly string[]>;
  /** Limit of one attempt, in milliseconds; `false` for none. Default: the run's `stepTimeoutMs`. */
  readonly timeoutMs?: number | false;
  /** From SIGTERM to SIGKILL, in milliseconds. Default 5_000. */
  readonly killGraceMs?: number;
  /** Bytes kept of each of standard output and standard error. Default 1 MiB. */
  readonly outputBytesMax?: number;
  readonly exitCodes?: ExitCodes;
  /** The value of the step: the whole CommandResult, standard output without the line's end that ends it, or what that is as JSON. Default "result". */
  readonly value?: "result" | "text" | "json";
  /** Checks (and may convert) the value. A misfit is ORCH_INVALID_OUTPUT. */
  readonly output?: StandardSchemaV1;
  /** Checks (and may convert) the input. */
  readonly input?: StandardSchemaV1;
  readonly retry?: Partial<Record<FailureClass, Partial<RetryPolicy>>> | Partial<RetryPolicy>;
  /** Commands of this agent at one time in one process. */
  readonly concurrency?: number;
  readonly allowedPeers?: readonly string[];
  readonly clock?: Clock;
}

export const DEFAULT_COMMAND_OPTIONS = Object.freeze({
  killGraceMs: 5_000,
  outputBytesMax: 1_048_576,
  value: "result" as const,
});

const OUTPUT_BYTES_MIN = 1_024;

type Check = readonly [key: keyof CommandAgentOptions, test: (value: unknown) => boolean, expected: string];

const isText = (value: unknown): boolean => typeof value === "string" && value !== "" && !value.includes("\0");
const isFunction = (value: unknown): boolean => typeof value === "function";
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const areTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one) => typeof one === "string" && !one.includes("\0"));
const isEnvironment = (value: unknown): boolean => isRecord(value) && areTexts(Object.values(value));
const isDuration = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value) && value > 0;
const isMeaning = (value: unknown): boolean =>
  value === "ok" || value === "fail" || value === "retry" || isFunction(value);

/** What was given may be a secret, so it is not shown. */
const SECRET: ReadonlySet<string> = new Set(["args", "stdin", "env", "secretEnv", "secrets"]);

const CHECKS: readonly Check[] = [
  ["command", isText, "the program, as a non-empty text"],
  ["args", (value) => areTexts(value) || isFunction(value), "a list of texts, or a function that gives one"],
  [
    "stdin",
    (value) => value === null || typeof value === "string" || value instanceof Uint8Array || isFunction(value),
    "a text, bytes, null, or a function that gives one",
  ],
  ["cwd", (value) => isText(value) || isFunction(value), "a folder, or a function that gives one"],
  ["cwdWithin", isText, "a folder"],
  ["inherit", areTexts, "a list of names of variables"],
  ["env", (value) => isEnvironment(value) || isFunction(value), "texts by name, or a function that gives them"],
  [
    "secretEnv",
    (value) => areTexts(value) || isEnvironment(value) || isFunction(value),
    "a list of names, texts by name, or a function that gives them",
  ],
  ["secrets", (value) => areTexts(value) || isFunction(value), "a list of texts, or a function that gives one"],
  ["timeoutMs", (value) => value === false || isDuration(value), "milliseconds above 0, or false"],
  ["killGraceMs", isDuration, "milliseconds above 0"],
  [
    "outputBytesMax",
    (value) => Number.isInteger(value) && Number(value) >= OUTPUT_BYTES_MIN,
    `a whole number from ${OUTPUT_BYTES_MIN}`,
  ],
  [
    "exitCodes",
    (value) =>
      isRecord(value) &&
      Object.entries(value).every(([code, meaning]) => /^(\d{1,3}|signal|other)$/.test(code) && isMeaning(meaning)),
    '"ok", "fail", "retry" or a function by exit code, "signal" or "other"',
  ],
  ["value", (value) => value === "result" || value === "text" || value === "json", '"result", "text" or "json"'],
  ["output", isStandardSchema, "a Standard Schema, such as a zod schema"],
  ["input", isStandardSchema, "a Standard Schema, such as a zod schema"],
  ["clock", isRecord, "a Clock"],
];

/** What `defineAgent` checks itself. */
const OF_ANY_AGENT = ["name", "description", "retry", "concurrency", "allowedPeers"];

/** @throws {OrchestraError} `ORCH_BAD_OPTION` with everything that is wrong. */
export function assertCommandOptions(options: CommandAgentOptions): void {
  const problems = CHECKS.flatMap(([key, test, expected]) => {
    const value = options[key];
    if (value === undefined && key !== "command") return [];
    return test(value) ? [] : [`${key}: expected ${expected}, got ${SECRET.has(key) ? typeof value : shown(value)}`];
  });
  const known = new Set<string>([...CHECKS.map(([key]) => key), ...OF_ANY_AGENT]);
  for (const key of Object.keys(options))
    if (!known.has(key)) problems.push(`${key}: unknown option; known are ${[...known].join(", ")}`);
  if (problems.length > 0)
    throw new OrchestraError("ORCH_BAD_OPTION", `commandAgent "${String(options.name)}": ${problems.join("; ")}`);
}

/** The option's value, or what its function gives. @throws {OrchestraError} `ORCH_INVALID_INPUT` when that is not what the option takes. */
export function resolved<K extends "args" | "stdin" | "cwd" | "env" | "secretEnv" | "secrets">(
  options: CommandAgentOptions,
  key: K,
  input: unknown,
  ctx: AgentContext,
): Exclude<CommandAgentOptions[K], (...args: any[]) => unknown> {
  const given: unknown = options[key];
  if (typeof given !== "function") return given as never;
  const value: unknown = (given as (input: unknown, ctx: AgentContext) => unknown)(input, ctx);
  const [, test, expected] = CHECKS.find(([name]) => name === key) as Check;
  if (!isFunction(value) && test(value)) return value as never;
  // What it gave may be a secret, so it is not shown.
  throw new OrchestraError(
    "ORCH_INVALID_INPUT",
    `agent "${options.name}": ${key}: expected its function to give ${expected}`,
  );
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` for a text that cannot be hidden. */
export function secretMask(secrets: readonly string[], agent: string): SecretMask {
  if (!secrets.every((secret) => SecretMask.accepts(secret)))
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `agent "${agent}": secrets: one is empty or contains "█", so it cannot be hidden`,
    );
  return new SecretMask(secrets);
}
