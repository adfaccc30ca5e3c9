// Call reports
//
// What an agent says of each call it made to a model or a tool (`ctx.report`). Observers make spans and figures of them.
// A call that the journal answered was not made, and is not reported.

import type { ErrorData } from "./errors.ts";

interface Called {
  /** How long the call took, in milliseconds. It ended when it was reported. */
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
