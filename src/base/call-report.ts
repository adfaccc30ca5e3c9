// Call reports
//
// What an agent says of each call it made to a model or a tool, as a chunk of its step (`ctx.emit`). Live observers make
// spans and figures of them. A call that the journal answered was not made, and is not reported.

import type { ErrorData } from "./errors.ts";

interface Called {
  /** How long the call took, in milliseconds. It ended when the chunk was emitted. */
  readonly tookMs: number;
  /** Why it failed; absent when it did not. */
  readonly error?: Pick<ErrorData, "code" | "message">;
}

/** One request to a model, answered or failed. */
export interface ModelCalled extends Called {
  readonly type: "model.called";
  /** Who serves the model, such as "openai" or "ollama". */
  readonly provider?: string;
  /** The model that was asked for. */
  readonly model: string;
  /** The model that answered, where it says. */
  readonly responseModel?: string;
  readonly responseId?: string;
  readonly finishReason?: string;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  /** Input tokens that came from the provider's cache; among `inputTokens`. */
  readonly cachedInputTokens?: number;
  readonly costUsd?: number;
  /** From the request to the first token, in milliseconds, where the answer was streamed. */
  readonly firstTokenMs?: number;
}

/** One call of a tool. */
export interface ToolCalled extends Called {
  readonly type: "tool.called";
  readonly tool: string;
  readonly toolCallId: string;
}

export type CallReport = ModelCalled | ToolCalled;

/** The report that a chunk is, if it is one. */
export function callReportOf(chunk: unknown): CallReport | undefined {
  if (typeof chunk !== "object" || chunk === null) return undefined;
  const { type, tookMs, model, tool } = chunk as Partial<Record<string, unknown>>;
  if (typeof tookMs !== "number" || !(tookMs >= 0)) return undefined;
  if (type === "model.called" && typeof model === "string") return chunk as ModelCalled;
  if (type === "tool.called" && typeof tool === "string") return chunk as ToolCalled;
  return undefined;
}
