// ScriptedModel: a model of the AI SDK that gives replies in order. No network, no provider package.

import type { CallOptions, GenerateResult, ModelV3, StreamPart } from "../agents/model/language-model.ts";
import { hang } from "./scripted-agent.ts";

type Content = GenerateResult["content"][number];

export interface ScriptedReply {
  /** Comes in these pieces. */
  readonly text?: string | readonly string[];
  readonly reasoning?: string;
  /** Ids default to `call-<call>-<place>`, both from 0. */
  readonly toolCalls?: readonly { readonly id?: string; readonly name: string; readonly input: unknown }[];
  /** Default: 10 in, 5 out. */
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
  /** Default: `tool-calls` where there are any, else `stop`. */
  readonly finishReason?: "stop" | "length" | "tool-calls" | "content-filter";
}

/** An `Error` is thrown, `hang` never answers, a function is called with the request. */
export type ScriptedAnswer =
  | string
  | ScriptedReply
  | Error
  | typeof hang
  | ((request: ScriptedRequest) => string | ScriptedReply | Error | Promise<string | ScriptedReply | Error>);

/** What the model was asked, as the AI SDK asks providers. */
export type ScriptedRequest = Pick<
  CallOptions,
  "prompt" | "tools" | "toolChoice" | "responseFormat" | "maxOutputTokens" | "temperature" | "providerOptions"
> & {
  /** The text of the last message. */
  readonly lastText: string;
};

/**
 * Gives `replies` in order, one per call. A call after the last fails for good, naming its index (from 0).
 *
 * ```ts
 * const model = new ScriptedModel(["first answer", { toolCalls: [{ name: "add", input: { a: 1, b: 2 } }] }, "3"]);
 * ```
 */
export class ScriptedModel implements ModelV3 {
  readonly specificationVersion = "v3" as const;
  readonly provider = "scripted";
  readonly modelId: string;
  readonly supportedUrls = { "*/*": [/.*/] };
  readonly #replies: readonly ScriptedAnswer[];
  readonly #calls: ScriptedRequest[] = [];

  constructor(replies: readonly ScriptedAnswer[], options: { readonly modelId?: string } = {}) {
    this.#replies = [...replies];
    this.modelId = options.modelId ?? "scripted";
  }

  /** Every call in order, unexpected ones included. */
  get calls(): readonly ScriptedRequest[] {
    return this.#calls;
  }

  /** Replies not yet given. Zero at the end of a test that used the whole script. */
  get left(): number {
    return Math.max(0, this.#replies.length - this.#calls.length);
  }

  async doStream(options: CallOptions): Promise<Awaited<ReturnType<ModelV3["doStream"]>>> {
    const parts = partsOf(await this.#next(options), this.#calls.length - 1);
    return {
      stream: new ReadableStream<StreamPart>({
        start(controller) {
          for (const part of parts) controller.enqueue(part);
          controller.close();
        },
      }),
    };
  }

  async doGenerate(options: CallOptions): Promise<Awaited<ReturnType<ModelV3["doGenerate"]>>> {
    const reply = await this.#next(options);
    const content: Content[] = [];
    if (reply.reasoning !== undefined) content.push({ type: "reasoning", text: reply.reasoning });
    if (reply.text !== undefined) content.push({ type: "text", text: piecesOf(reply).join("") });
    content.push(...toolCallsOf(reply, this.#calls.length - 1));
    return { content, finishReason: finishOf(reply), usage: usageOf(reply), warnings: [] };
  }

  async #next(options: CallOptions): Promise<ScriptedReply> {
    const index = this.#calls.length;
    const { prompt, tools, toolChoice, responseFormat, maxOutputTokens, temperature, providerOptions } = options;
    const asked = { prompt, tools, toolChoice, responseFormat, maxOutputTokens, temperature, providerOptions };
    const request = { ...asked, lastText: lastText(prompt) } as ScriptedRequest;
    this.#calls.push(request);
    if (index >= this.#replies.length) throw unexpectedCall(index, this.#replies.length);
    const given = this.#replies[index] as ScriptedAnswer;
    if (given === hang) return untilAborted(options.abortSignal);
    const reply = typeof given === "function" ? await given(request) : given;
    if (reply instanceof Error) throw reply;
    return typeof reply === "string" ? { text: reply } : reply;
  }
}

function partsOf(reply: ScriptedReply, index: number): StreamPart[] {
  const parts: StreamPart[] = [{ type: "stream-start", warnings: [] }];
  if (reply.reasoning !== undefined)
    parts.push(
      { type: "reasoning-start", id: "r" },
      { type: "reasoning-delta", id: "r", delta: reply.reasoning },
      { type: "reasoning-end", id: "r" },
    );
  if (reply.text !== undefined) {
    parts.push({ type: "text-start", id: "t" });
    for (const delta of piecesOf(reply)) parts.push({ type: "text-delta", id: "t", delta });
    parts.push({ type: "text-end", id: "t" });
  }
  parts.push(...toolCallsOf(reply, index), { type: "finish", finishReason: finishOf(reply), usage: usageOf(reply) });
  return parts;
}

function piecesOf({ text = "" }: ScriptedReply): readonly string[] {
  return typeof text === "string" ? [text] : text;
}

function toolCallsOf({ toolCalls = [] }: ScriptedReply, index: number): Extract<StreamPart, { type: "tool-call" }>[] {
  return toolCalls.map(({ id, name, input }, i) => ({
    type: "tool-call",
    toolCallId: id ?? `call-${index}-${i}`,
    toolName: name,
    input: typeof input === "string" ? input : JSON.stringify(input),
  }));
}

function finishOf({ finishReason, toolCalls }: ScriptedReply): Extract<StreamPart, { type: "finish" }>["finishReason"] {
  const unified = finishReason ?? (toolCalls === undefined ? "stop" : "tool-calls");
  return { unified, raw: unified };
}

function usageOf({ usage }: ScriptedReply): Extract<StreamPart, { type: "finish" }>["usage"] {
  const { inputTokens, outputTokens } = usage ?? { inputTokens: 10, outputTokens: 5 };
  return {
    inputTokens: { total: inputTokens, noCache: inputTokens, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: outputTokens, text: outputTokens, reasoning: 0 },
  };
}

function lastText(prompt: CallOptions["prompt"]): string {
  const last = prompt.at(-1);
  if (last === undefined) return "";
  if (typeof last.content === "string") return last.content;
  return last.content
    .map((part) => {
      if (part.type === "text") return part.text;
      if (part.type !== "tool-result") return "";
      return "value" in part.output && typeof part.output.value === "string" ? part.output.value : "";
    })
    .filter((text) => text !== "")
    .join("\n");
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
    if (signal?.aborted === true) end();
    else signal?.addEventListener("abort", end, { once: true });
  });
}

function unexpectedCall(index: number, replies: number): Error {
  const message = `scripted model: call ${index} (from 0) was not expected; the script has ${replies} ${replies === 1 ? "reply" : "replies"}`;
  return Object.assign(new Error(message), { retryable: false });
}
