// Wire ends: what a run came to, as callers are told.

import type { ErrorData } from "../../base/errors.ts";
import type { OrchestraResult } from "../../runtime/result.ts";
import { toJsonValue } from "../../runtime/result-json.ts";
import { AGENT_ERROR, textOf } from "../remote/protocol.ts";

export function doneOf({ finalResponse, metadata, totalDurationMs }: OrchestraResult): Record<string, unknown> {
  const { inputTokens, outputTokens, totalTokens, costUsd } = metadata.usage;
  return {
    final_message: textOf(finalResponse),
    ...(typeof finalResponse !== "string" && { output: toJsonValue(finalResponse) }),
    usage: {
      prompt_tokens: inputTokens,
      completion_tokens: outputTokens,
      total_tokens: totalTokens,
      cost_usd: costUsd,
      duration_ms: Math.round(totalDurationMs),
    },
  };
}

/** Codes of the protocol for codes of ours; an agent's own go out as they are. */
const PROTOCOL_CODES: Readonly<Record<string, string>> = {
  ORCH_TIMEOUT: "timeout",
  ORCH_INVALID_INPUT: "invalid_request",
  ORCH_NOT_SERIALIZABLE: "invalid_request",
  ORCH_BAD_OPTION: "invalid_request",
  ORCH_PAYLOAD_TOO_LARGE: "invalid_request",
  ORCH_OVERLOADED: "overloaded",
  ORCH_CANCELLED: "cancelled",
};

export function errorOf({ code, message }: ErrorData, retryable: boolean): Record<string, unknown> {
  const told = PROTOCOL_CODES[code] ?? (code.startsWith("ORCH_") ? AGENT_ERROR : code);
  return { code: told, message, retryable: retryable && told !== "invalid_request" };
}
