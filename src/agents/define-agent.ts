// defineAgent: an agent as data, with its input and output checked by any Standard Schema (zod, valibot, arktype…).

import type { StandardSchemaV1 } from "@standard-schema/spec";

import type {
  AgentContext,
  AgentFunction,
  Command,
  MaybePromise,
  RetryPolicy,
  RunnableAgent,
} from "../runtime/agent.ts";
import type { FailureClass } from "../actors/facts.ts";
import { assertOptions, object, required } from "../runtime/option-schema.ts";
import { AGENT_OPTIONS, madeBy } from "./agent-options.ts";
import { parseBySchema } from "./standard-schema.ts";

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
  /** One policy for failures of every class, or one per failure class; laid over those of the run. */
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
  assertOptions(SCHEMA, definition, madeBy("defineAgent", definition));
  const { name, description, input, output, retry, timeoutMs, concurrency, allowedPeers } = definition;
  return Object.freeze({
    name,
    ...(description !== undefined && { description }),
    ...(retry !== undefined && { retry }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(concurrency !== undefined && { concurrency }),
    ...(allowedPeers !== undefined && { allowedPeers: Object.freeze([...allowedPeers]) }),
    ...(input !== undefined && {
      parseInput: (value: unknown) =>
        parseBySchema(input, value, { code: "ORCH_INVALID_INPUT", what: `input of agent "${name}"` }),
    }),
    ...(output !== undefined && {
      parseOutput: (value: unknown) =>
        parseBySchema(output, value, { code: "ORCH_INVALID_OUTPUT", what: `output of agent "${name}"` }),
    }),
    run: definition.run,
  });
}

const SCHEMA = object({ ...AGENT_OPTIONS, run: required((value) => typeof value === "function", "a function") });
