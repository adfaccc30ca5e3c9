// defineTool: a tool of one's own, with its input told to models and checked.

import type { StandardSchemaV1 } from "@standard-schema/spec";

import type { MaybePromise } from "../../runtime/agent.ts";
import { anything, assertOptions, object, required } from "../../runtime/option-schema.ts";
import { madeBy } from "../agent-options.ts";
import { inputSchema } from "./input-schema.ts";
import { toolAgent } from "./tool-agent.ts";
import { TERMS } from "./tool-terms.ts";
import type { JsonSchema, Tool, ToolContext, ToolPolicy } from "./tool.ts";

type InputOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : any;

export interface ToolDefinition<I extends StandardSchemaV1 | JsonSchema | undefined = undefined> {
  /** 1 to 64 letters, digits, `_` or `-`, as models take it. */
  readonly name: string;
  /** What it does, for the model that chooses it. */
  readonly description?: string;
  /** A Standard Schema (zod, valibot, arktype…), or a JSON Schema of an object. Default: any object. */
  readonly input?: I;
  /** The input as JSON Schema, for a Standard Schema that cannot be told as one. */
  readonly inputJsonSchema?: JsonSchema;
  /** Default "allow". */
  readonly policy?: ToolPolicy;
  /** Running it twice does no more than running it once. Default false. */
  readonly idempotent?: boolean;
  /** Limit of one call, in milliseconds; `false` for none but the step's own. Default 60,000. */
  readonly timeoutMs?: number | false;
  /** How long a person has to approve a call, in milliseconds; one that nobody approved by then is rejected. Default: no limit. */
  readonly approvalTimeoutMs?: number | false;
  readonly run: (input: InputOf<I>, ctx: ToolContext) => MaybePromise<unknown>;
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` when a field is missing, unknown or out of range. */
export function defineTool<const I extends StandardSchemaV1 | JsonSchema | undefined = undefined>(
  definition: ToolDefinition<I>,
): Tool {
  assertOptions(SCHEMA, definition, madeBy("defineTool", definition));
  const { name, description, input, inputJsonSchema, policy = "allow", idempotent = false } = definition;
  const { timeoutMs, approvalTimeoutMs } = definition;
  const schema = inputSchema(name, input, inputJsonSchema);
  return Object.freeze({
    name,
    ...(description !== undefined && { description }),
    policy,
    idempotent,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(approvalTimeoutMs !== undefined && { approvalTimeoutMs }),
    inputJsonSchema: schema.json,
    parseInput: schema.parse,
    run: definition.run,
    toAgent,
  });
}

/** Of the object it is called on, so that `{ ...tool, policy: "approve" }` is asked for too. */
function toAgent(this: Tool, name: string) {
  return toolAgent(this, {}, name);
}

const TOOL_NAME = /^[\w-]{1,64}$/;
const SCHEMA = object({
  ...TERMS,
  name: required((value) => typeof value === "string" && TOOL_NAME.test(value), "1 to 64 letters, digits, _ or -"),
  // What these are told as, and checked by, is looked at where they are read.
  input: anything,
  inputJsonSchema: anything,
  run: required((value) => typeof value === "function", "a function"),
});
