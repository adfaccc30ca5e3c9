// modelAgent: an agent whose work a model does.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import { OrchestraError } from "../../base/errors.ts";
import type { AgentContext, RunnableAgent } from "../../runtime/agent.ts";
import { agentFields } from "../agent-fields.ts";
import { defineAgent } from "../define-agent.ts";
import { assertConversationOptions } from "../conversation/conversation.ts";
import { isLanguageModel } from "./language-model.ts";
import type { ModelAgentDefinition, ModelAgentOptions } from "./model-agent-definition.ts";
import { runTurns } from "./turn-loop.ts";

export const DEFAULT_MAX_TURNS = 16;

/**
 * An agent whose steps ask `model`. What it answers is the step's output, shown piece by piece as `step.chunk` while it
 * comes. Every call is recorded before anything follows from it, so that no retry, crash or resume pays for it twice.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` when a field is missing or out of range.
 */
export function modelAgent<
  const I extends StandardSchemaV1 | undefined = undefined,
  const O extends StandardSchemaV1 | undefined = undefined,
>(definition: ModelAgentDefinition<I, O>): RunnableAgent {
  assertDefinition(definition);
  const options: ModelAgentOptions = {
    ...definition,
    settings: definition.settings ?? {},
    maxTurns: definition.maxTurns ?? DEFAULT_MAX_TURNS,
    tools: definition.tools ?? [],
    actions: definition.actions ?? "native",
  };
  // The turns hold answers to the output's schema, and put a misfit right.
  const { output: _held, ...fields } = agentFields(definition);
  return defineAgent({
    ...fields,
    run: (value: unknown, ctx: AgentContext): Promise<unknown> => runTurns(options, value, ctx),
  });
}

const KEYS = new Set([
  "name",
  "description",
  "model",
  "instructions",
  "input",
  "output",
  "prompt",
  "settings",
  "providerOptions",
  "price",
  "tools",
  "actions",
  "steering",
  "mayCall",
  "memory",
  "maxTurns",
  "retry",
  "timeoutMs",
  "concurrency",
  "allowedPeers",
]);

function assertDefinition(definition: ModelAgentDefinition<any, any>): void {
  const { name, model, instructions, output, prompt, settings, price, maxTurns } = definition;
  const { tools, actions, steering, mayCall, memory } = definition;
  if (typeof name !== "string" || name === "") refuse("name", "a non-empty string", name);
  const at = (field: string): string => `agent "${name}": ${field}`;
  for (const key of Object.keys(definition)) if (!KEYS.has(key)) refuse(at(key), `one of ${[...KEYS].join(", ")}`, key);
  if (!isLanguageModel(model))
    refuse(at("model"), "a model of the AI SDK, such as createOpenAICompatible({ … })(id)", model);
  if (instructions !== undefined && typeof instructions !== "string" && typeof instructions !== "function")
    refuse(at("instructions"), "a text or a function that gives one", instructions);
  if (output !== undefined && typeof output?.["~standard"]?.validate !== "function")
    refuse(at("output"), "a Standard Schema, such as a zod schema", output);
  if (prompt !== undefined && typeof prompt !== "function") refuse(at("prompt"), "a function", prompt);
  if (settings !== undefined && (typeof settings !== "object" || settings === null))
    refuse(at("settings"), "an object", settings);
  if (maxTurns !== undefined && !(Number.isInteger(maxTurns) && maxTurns >= 1))
    refuse(at("maxTurns"), "a whole number from 1", maxTurns);
  if (tools !== undefined && !(Array.isArray(tools) && tools.every(isToolOrSource)))
    refuse(at("tools"), "a list of tools, such as [defineTool({ … })]", tools);
  if (actions !== undefined && actions !== "native" && actions !== "json")
    refuse(at("actions"), '"native" or "json"', actions);
  if (steering !== undefined && steering !== "auto" && steering !== "always" && steering !== "never")
    refuse(at("steering"), '"auto", "always" or "never"', steering);
  if (mayCall !== undefined && typeof mayCall !== "function") refuse(at("mayCall"), "a function", mayCall);
  if (memory !== undefined && memory !== false) assertConversationOptions(memory, `modelAgent: ${at("memory")}`);
  if (price !== undefined)
    for (const [field, amount] of Object.entries({ cachedInput: 0, ...price }))
      if (typeof amount !== "number" || !(amount >= 0) || !Number.isFinite(amount))
        refuse(at(`price.${field}`), "US dollars per million tokens, 0 or more", amount);
  if (price !== undefined && !("input" in price && "output" in price))
    refuse(at("price"), "{ input, output } in US dollars per million tokens", price);
}

function isToolOrSource(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    (typeof Reflect.get(value, "run") === "function" || typeof Reflect.get(value, "tools") === "function")
  );
}

function refuse(what: string, expected: string, found: unknown): never {
  const got = typeof found === "string" || typeof found === "number" ? JSON.stringify(found) : typeof found;
  throw new OrchestraError("ORCH_BAD_OPTION", `modelAgent: ${what}: expected ${expected}, got ${got}`);
}
