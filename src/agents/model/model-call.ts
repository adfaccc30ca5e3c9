// Model call
//
// Owns:      one request to a model and its answer as plain data, shown piece by piece while it comes.
// Does not:  retry (the step does, by its failure class), record (the turn loop does), or follow what was answered.
//
// The AI SDK turns messages into what each provider wants and back, and is told never to retry by itself.

import type { JSONSchema7, LanguageModelUsage, ModelMessage, ToolSet } from "ai";
import type { Logger } from "../../base/logger.ts";
import { estimateTextTokens, estimateTokens } from "../conversation/tokens.ts";
import { endedEarly, filtered, modelCallError } from "./model-errors.ts";
import type { AiSdk, LanguageModel, ModelV3, StreamPart } from "./language-model.ts";

/** Options of a call, by the AI SDK's names; absent: the provider's own default. */
export interface ModelSettings {
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly stopSequences?: string[];
  readonly seed?: number;
  readonly headers?: Record<string, string>;
}

type StreamTextOptions = Parameters<AiSdk["streamText"]>[0];
export type ProviderOptions = NonNullable<StreamTextOptions["providerOptions"]>;

export interface OfferedTool {
  readonly name: string;
  readonly description?: string | undefined;
  readonly inputJsonSchema: object;
}

export interface ModelRequest {
  readonly model: LanguageModel;
  readonly system?: string | undefined;
  readonly messages: readonly ModelMessage[];
  readonly tools: readonly OfferedTool[];
  readonly settings: ModelSettings;
  readonly providerOptions?: ProviderOptions | undefined;
  /** The answer is to be JSON, of this schema where one is known. */
  readonly json?: { readonly schema?: object } | undefined;
}

export interface ToolCallRequest {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
}

/** What a model answered; plain data, kept in the journal of the step. */
export interface ModelAnswer {
  readonly text: string;
  /** Calls whose input could be read; what is wrong with the others is in `messages`. */
  readonly toolCalls: readonly ToolCallRequest[];
  readonly unreadableCalls: number;
  /** The answer as messages for the next request. */
  readonly messages: readonly ModelMessage[];
  readonly finishReason: string;
  readonly usage: {
    readonly inputTokens: number;
    readonly outputTokens: number;
    readonly cachedInputTokens: number;
    /** The provider did not say, so these are a guess of four characters a token. */
    readonly estimated: boolean;
  };
  readonly modelId: string;
  /** The provider's name for the answer, where it gave one. */
  readonly responseId?: string;
}

/** A text comes as a string, so that pieces may be put together; everything else as an object with its `type`. */
export type ModelChunk =
  | string
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "tool-call"; readonly id: string; readonly name: string; readonly input: unknown }
  /** What was shown before is not the answer: the model was asked again, for this reason. */
  | { readonly type: "correction"; readonly reason: string };

export interface CallContext {
  readonly signal: AbortSignal;
  readonly logger: Logger;
  emit(chunk: ModelChunk): void;
  /** The first piece of the answer came. */
  began(): void;
}

/** @throws {ModelCallError} what the provider, the network or the answer failed with; the signal's reason when it is aborted. */
export async function callModel(ai: AiSdk, request: ModelRequest, ctx: CallContext): Promise<ModelAnswer> {
  try {
    return await ask(ai, request, ctx);
  } catch (error) {
    if (ctx.signal.aborted) throw ctx.signal.reason;
    throw modelCallError(ai, error, request.model);
  }
}

async function ask(ai: AiSdk, request: ModelRequest, ctx: CallContext): Promise<ModelAnswer> {
  const { model, system, messages, settings, providerOptions } = request;
  let isBegun = false;
  let responseId: string | undefined;
  const hear = (part: StreamPart): void => {
    if (part.type === "response-metadata") responseId = part.id ?? responseId;
    if (isBegun || BEFORE_AN_ANSWER.has(part.type)) return;
    isBegun = true;
    ctx.began();
  };
  const answer = ai.streamText({
    ...settings,
    model: heard(model, hear, ctx.logger),
    ...(system === undefined ? {} : { system }),
    messages: [...messages],
    ...(request.tools.length === 0 ? {} : { tools: toolSet(ai, request.tools) }),
    ...(providerOptions === undefined ? {} : { providerOptions }),
    output: outputOf(request.json),
    maxRetries: 0,
    abortSignal: ctx.signal,
    onError: () => undefined,
  });
  const toolCalls: ToolCallRequest[] = [];
  let text = "";
  let unreadableCalls = 0;
  let end: { usage: LanguageModelUsage; finishReason: string; modelId: string } | undefined;
  for await (const part of answer.fullStream) {
    switch (part.type) {
      case "text-delta":
        text += part.text;
        ctx.emit(part.text);
        break;
      case "reasoning-delta":
        ctx.emit({ type: "reasoning", text: part.text });
        break;
      case "tool-call": {
        if (part.invalid === true) {
          unreadableCalls++;
          break;
        }
        const call = { id: part.toolCallId, name: part.toolName, input: part.input as unknown };
        toolCalls.push(call);
        ctx.emit({ type: "tool-call", ...call });
        break;
      }
      case "finish-step":
        // A provider whose stream ends without a reason for it gives "other", and no reason of its own.
        if (part.finishReason === "other" && part.rawFinishReason === undefined) throw endedEarly(model);
        if (part.finishReason === "content-filter") throw filtered(model);
        end = { usage: part.usage, finishReason: part.finishReason, modelId: part.response.modelId };
        break;
      case "error":
        throw part.error;
      case "abort":
        throw ctx.signal.reason;
      default:
        break;
    }
  }
  if (end === undefined) throw endedEarly(model);
  const { messages: answered } = await answer.response;
  return {
    text,
    toolCalls,
    unreadableCalls,
    messages: answered,
    finishReason: end.finishReason,
    usage: usageOf(end.usage, request, text, toolCalls),
    modelId: end.modelId,
    ...(responseId !== undefined && { responseId }),
  };
}

function toolSet(ai: AiSdk, tools: readonly OfferedTool[]): ToolSet {
  return Object.fromEntries(
    tools.map(({ name, description, inputJsonSchema }) => [
      name,
      ai.tool({
        ...(description === undefined ? {} : { description }),
        inputSchema: ai.jsonSchema(inputJsonSchema as JSONSchema7),
      }),
    ]),
  );
}

const BEFORE_AN_ANSWER: ReadonlySet<StreamPart["type"]> = new Set([
  "stream-start",
  "response-metadata",
  "raw",
  "error",
  "finish",
]);

/**
 * `hear` is told every part that the provider sends. The AI SDK prints a provider's warnings on the console; here they go
 * to the step's log. The version of the model's interface stays what it is, so that the SDK turns what an older one gives
 * into what a new one would.
 */
function heard(given: LanguageModel, hear: (part: StreamPart) => void, logger: Logger): LanguageModel {
  const model = given as ModelV3;
  return {
    specificationVersion: model.specificationVersion,
    provider: model.provider,
    modelId: model.modelId,
    supportedUrls: model.supportedUrls,
    doGenerate: (options) => model.doGenerate(options),
    async doStream(options) {
      const { stream, ...rest } = await model.doStream(options);
      const quiet = new TransformStream<StreamPart, StreamPart>({
        transform(part, controller) {
          hear(part);
          if (part.type !== "stream-start" || part.warnings.length === 0) return controller.enqueue(part);
          logger.debug({ warnings: part.warnings }, "the provider of the model warns");
          controller.enqueue({ ...part, warnings: [] });
        },
      });
      return { ...rest, stream: stream.pipeThrough(quiet) };
    },
  } satisfies ModelV3;
}

/** Asks for JSON without reading it: the turn loop reads the whole answer, and nobody reads half of one. */
function outputOf(json: ModelRequest["json"]): NonNullable<StreamTextOptions["output"]> {
  const schema = json?.schema as JSONSchema7 | undefined;
  return {
    name: "answer",
    responseFormat: Promise.resolve(
      json === undefined ? { type: "text" } : { type: "json", ...(schema === undefined ? {} : { schema }) },
    ),
    parseCompleteOutput: ({ text }) => Promise.resolve(text),
    // Something new for every piece, or the SDK would hold it back.
    parsePartialOutput: ({ text }) => Promise.resolve({ partial: String(text.length) }),
    createElementStreamTransform: () => undefined,
  };
}

/** What a request takes, about: all that the model is shown. */
export function estimateRequestTokens({
  system = "",
  messages,
  tools,
  json,
}: Pick<ModelRequest, "system" | "messages" | "tools" | "json">): number {
  const beside = system + toolsAsText(tools) + (json?.schema === undefined ? "" : JSON.stringify(json.schema));
  return messages.reduce((sum, message) => sum + estimateTokens(message), estimateTextTokens(beside));
}

/** As the model is shown them, about. */
export function toolsAsText(tools: readonly OfferedTool[]): string {
  const shown = tools.map(({ name, description, inputJsonSchema }) => ({ name, description, inputJsonSchema }));
  return shown.length === 0 ? "" : JSON.stringify(shown);
}

function usageOf(
  said: LanguageModelUsage,
  request: ModelRequest,
  text: string,
  toolCalls: readonly ToolCallRequest[],
): ModelAnswer["usage"] {
  const { inputTokens, outputTokens } = said;
  const cachedInputTokens = said.inputTokenDetails.cacheReadTokens ?? 0;
  if (inputTokens !== undefined && outputTokens !== undefined)
    return { inputTokens, outputTokens, cachedInputTokens, estimated: false };
  return {
    inputTokens: inputTokens ?? estimateRequestTokens(request),
    outputTokens: outputTokens ?? estimateTextTokens(text + JSON.stringify(toolCalls.map(({ input }) => input))),
    cachedInputTokens,
    estimated: true,
  };
}
