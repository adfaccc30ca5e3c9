// modelAgent: an agent whose work a model does.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { AgentContext, RunnableAgent } from "../../runtime/agent.ts";
import { steeringMode } from "../../runtime/agent-policies.ts";
import {
  assertOptions,
  callable,
  check,
  count,
  isRecord,
  isRecordLike,
  list,
  object,
  record,
  required,
  text,
  type OptionSchema,
} from "../../runtime/option-schema.ts";
import { agentFields } from "../agent-fields.ts";
import { AGENT_OPTIONS, madeBy } from "../agent-options.ts";
import { defineAgent } from "../define-agent.ts";
import { assertConversationOptions } from "../conversation/conversation.ts";
import { isLanguageModel } from "./language-model.ts";
import type { ModelAgentDefinition, ModelAgentOptions } from "./model-agent-definition.ts";
import type { ModelSettings } from "./model-call.ts";
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

const usdPerMillionTokens = (value: unknown): boolean => Number.isFinite(value) && Number(value) >= 0;
const USD_PER_MILLION_TOKENS = "US dollars per million tokens, 0 or more";
const number = check((value) => Number.isFinite(value), "a number");
const price = required(usdPerMillionTokens, USD_PER_MILLION_TOKENS);

const SCHEMA = object({
  ...AGENT_OPTIONS,
  model: required(isLanguageModel, "a model of the AI SDK, such as createOpenAICompatible({ … })(id)"),
  instructions: check(
    (value) => typeof value === "string" || typeof value === "function",
    "a text or a function that gives one",
  ),
  prompt: callable,
  settings: object({
    maxOutputTokens: count,
    temperature: number,
    topP: number,
    topK: number,
    presencePenalty: number,
    frequencyPenalty: number,
    stopSequences: list(text),
    seed: number,
    headers: check(
      (value) => isRecord(value) && Object.values(value).every((one) => typeof one === "string"),
      "texts by the names of headers",
    ),
  } satisfies Record<keyof ModelSettings, OptionSchema>),
  providerOptions: record,
  price: object({ input: price, output: price, cachedInput: check(usdPerMillionTokens, USD_PER_MILLION_TOKENS) }),
  tools: list(required(isToolOrSource, "a tool, such as defineTool({ … }) gives")),
  actions: check((value) => value === "native" || value === "json", '"native" or "json"'),
  steering: steeringMode,
  mayCall: callable,
  memory: check((value) => value === false || isRecordLike(value), "options of a conversation, or false"),
  maxTurns: count,
} satisfies Record<keyof ModelAgentDefinition, OptionSchema>);

function assertDefinition(definition: ModelAgentDefinition<any, any>): void {
  const at = madeBy("modelAgent", definition);
  assertOptions(SCHEMA, definition, at);
  const { memory } = definition;
  if (memory !== undefined && memory !== false) assertConversationOptions(memory, `${at}.memory`);
}

function isToolOrSource(value: unknown): boolean {
  return isRecordLike(value) && (typeof value["run"] === "function" || typeof value["tools"] === "function");
}
