// defineTool: a tool of one's own, with its input told to models and checked.

import type { StandardSchemaV1 } from "@standard-schema/spec";

import { OrchestraError } from "../../base/errors.ts";
import type { MaybePromise } from "../../runtime/agent.ts";
import { inputSchema } from "./input-schema.ts";
import { toolAgent } from "./tool-agent.ts";
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
  assertDefinition(definition);
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
const POLICIES: readonly unknown[] = ["allow", "approve", "block"] satisfies ToolPolicy[];
const KEYS = new Set([
  "name",
  "description",
  "input",
  "inputJsonSchema",
  "policy",
  "idempotent",
  "timeoutMs",
  "approvalTimeoutMs",
  "run",
]);

function assertDefinition(definition: ToolDefinition<any>): void {
  const { name, description, policy, idempotent, run } = definition;
  if (typeof name !== "string" || !TOOL_NAME.test(name)) refuse("name", "1 to 64 letters, digits, _ or -", name);
  const at = (field: string): string => `tool "${name}": ${field}`;
  for (const key of Object.keys(definition)) if (!KEYS.has(key)) refuse(at(key), `one of ${[...KEYS].join(", ")}`, key);
  if (typeof run !== "function") refuse(at("run"), "a function", run);
  if (description !== undefined && typeof description !== "string") refuse(at("description"), "a text", description);
  if (policy !== undefined && !POLICIES.includes(policy)) refuse(at("policy"), `one of ${POLICIES.join(", ")}`, policy);
  if (idempotent !== undefined && typeof idempotent !== "boolean")
    refuse(at("idempotent"), "true or false", idempotent);
  for (const field of ["timeoutMs", "approvalTimeoutMs"] as const) {
    const limitMs = definition[field];
    if (limitMs !== undefined && limitMs !== false && !(limitMs > 0 && Number.isFinite(limitMs)))
      refuse(at(field), "milliseconds above 0, or false", limitMs);
  }
}

function refuse(what: string, expected: string, found: unknown): never {
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `defineTool: ${what}: expected ${expected}, got ${typeof found === "object" ? "an object" : JSON.stringify(found)}`,
  );
}
