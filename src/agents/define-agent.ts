// defineAgent: an agent as data, with its input and output checked by any Standard Schema (zod, valibot, arktype…).

import type { StandardSchemaV1 } from "@standard-schema/spec";

import { OrchestraError, type OrchestraErrorCode } from "../base/errors.ts";
import type {
  AgentContext,
  AgentFunction,
  Command,
  MaybePromise,
  RetryPolicy,
  RunnableAgent,
} from "../runtime/agent.ts";
import type { FailureClass } from "../actors/facts.ts";

type InputOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : any;
type OutputOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferInput<S> : unknown;

export interface AgentDefinition<
  I extends StandardSchemaV1 | undefined = undefined,
  O extends StandardSchemaV1 | undefined = undefined,
> {
  readonly name: string;
  readonly description?: string;
  /** Checks (and may convert) what the agent is given. A misfit fails the step with ORCH_INVALID_INPUT, for good. */
  readonly input?: I;
  /** Checks (and may convert) a plain value the agent returns; commands are not checked. A misfit is ORCH_INVALID_OUTPUT, failure class `invalid_output`. */
  readonly output?: O;
  /** One policy for `transient` failures, or one per failure class; laid over those of the run. */
  readonly retry?: Partial<Record<FailureClass, Partial<RetryPolicy>>> | Partial<RetryPolicy>;
  /** Limit of one attempt, in milliseconds; `false` for none. Default: the run's `stepTimeoutMs`. */
  readonly timeoutMs?: number | false;
  /** Steps of this agent at one time in one process. */
  readonly concurrency?: number;
  /** Whom it may address, where the topology is made from agents alone. */
  readonly allowedPeers?: readonly string[];
  readonly run: (input: InputOf<I>, ctx: AgentContext) => MaybePromise<OutputOf<O> | Command>;
}

/** An agent made by `defineAgent`. */
export interface DefinedAgent extends RunnableAgent {
  readonly run: AgentFunction;
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` when a field is missing or out of range. */
export function defineAgent<
  const I extends StandardSchemaV1 | undefined = undefined,
  const O extends StandardSchemaV1 | undefined = undefined,
>(definition: AgentDefinition<I, O>): DefinedAgent {
  assertDefinition(definition);
  const { name, description, input, output, retry, timeoutMs, concurrency, allowedPeers } = definition;
  return Object.freeze({
    name,
    ...(description !== undefined && { description }),
    ...(retry !== undefined && { retry }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(concurrency !== undefined && { concurrency }),
    ...(allowedPeers !== undefined && { allowedPeers: Object.freeze([...allowedPeers]) }),
    ...(input !== undefined && {
      parseInput: (value: unknown) => parsed(input, value, "ORCH_INVALID_INPUT", `input of agent "${name}"`),
    }),
    ...(output !== undefined && {
      parseOutput: (value: unknown) => parsed(output, value, "ORCH_INVALID_OUTPUT", `output of agent "${name}"`),
    }),
    run: definition.run,
  });
}

async function parsed(
  schema: StandardSchemaV1,
  value: unknown,
  code: OrchestraErrorCode,
  what: string,
): Promise<unknown> {
  const checked = await schema["~standard"].validate(value);
  if (checked.issues === undefined) return checked.value;
  const problems = checked.issues.map(({ message, path }) => ({ path: pathText(path), message }));
  const shown = problems.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
  throw new OrchestraError(code, `${what} does not fit its schema: ${shown}`, { details: { problems } });
}

function pathText(path: StandardSchemaV1.Issue["path"]): string {
  return (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
}

const KEYS = new Set([
  "name",
  "description",
  "input",
  "output",
  "retry",
  "timeoutMs",
  "concurrency",
  "allowedPeers",
  "run",
]);

function assertDefinition(definition: AgentDefinition<any, any>): void {
  const { name, timeoutMs, concurrency, input, output, run } = definition;
  if (typeof name !== "string" || name === "") refuse("name", "a non-empty string", name);
  const at = (field: string): string => `agent "${name}": ${field}`;
  for (const key of Object.keys(definition)) if (!KEYS.has(key)) refuse(at(key), `one of ${[...KEYS].join(", ")}`, key);
  if (typeof run !== "function") refuse(at("run"), "a function", run);
  if (timeoutMs !== undefined && timeoutMs !== false && !(timeoutMs > 0))
    refuse(at("timeoutMs"), "milliseconds above 0, or false", timeoutMs);
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1))
    refuse(at("concurrency"), "a whole number from 1", concurrency);
  for (const [field, schema] of [
    ["input", input],
    ["output", output],
  ] as const) {
    if (schema !== undefined && typeof schema?.["~standard"]?.validate !== "function")
      refuse(at(field), "a Standard Schema, such as a zod schema", schema);
  }
}

function refuse(what: string, expected: string, found: unknown): never {
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `defineAgent: ${what}: expected ${expected}, got ${typeof found === "object" ? "an object" : JSON.stringify(found)}`,
  );
}
