// Agent protocol: what goes over the wire when one process calls an agent of another, `POST {endpoint}/invoke`, answered
// by a stream of events. Fields beyond the protocol (`input`, `output`, `chunk`, `question`, `answer_to`, `retryable`,
// `cost_usd`) carry what text cannot; a side that does not know them loses nothing else.

import type { AgentContext, UsageReport } from "../../runtime/agent.ts";
import { fromJsonValue, toJsonValue } from "../../runtime/result-json.ts";
import type { SseFrame } from "./sse-reader.ts";

/** Earlier messages that go along at most. */
export const MESSAGES_MAX = 50;
/** The code of a failure that has no better one. */
export const AGENT_ERROR = "agent_error";
/** The code of an error that is a question to a person. */
export const INPUT_REQUIRED = "input_required";

export interface ProtocolMessage {
  readonly role: string;
  readonly content: string;
}

export interface InvokeRequest {
  readonly agent_id: string;
  readonly session_id: string;
  readonly run_id: string;
  readonly input_message: ProtocolMessage;
  readonly messages: readonly ProtocolMessage[];
  readonly context: Readonly<Record<string, unknown>>;
  /** The input itself, where it is more than the text of `input_message`. */
  readonly input?: unknown;
  /** The question that the input answers. */
  readonly answer_to?: string;
}

export interface RemoteQuestion {
  readonly id: string;
  readonly prompt: unknown;
}

/** What an event of the stream says. */
export type RemoteEvent =
  | { readonly type: "delta"; readonly chunk: unknown }
  | { readonly type: "done"; readonly value: unknown; readonly usage: UsageReport | null }
  | {
      readonly type: "error";
      readonly code: string;
      readonly message: string;
      readonly retryable?: boolean;
      readonly question?: RemoteQuestion;
    }
  | { readonly type: "state"; readonly state: string; readonly detail: unknown }
  | { readonly type: "other" }
  | { readonly type: "unreadable"; readonly reason: string };

/**
 * The key of a step's call, the same for every attempt. Sessions of two stores may have one name; runs have not, so the
 * run goes before the step's own key.
 */
export function callKey({ runId, idempotencyKey }: Pick<AgentContext, "runId" | "idempotencyKey">): string {
  return encodeURI(`${runId}/${idempotencyKey}`);
}

/** An address without its query, which may hold a secret: for messages. */
export function shownUrl({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

/** A value as the text of a message. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(toJsonValue(value));
}

export function readEvent({ event, data }: SseFrame): RemoteEvent {
  if (!KNOWN.has(event)) return { type: "other" };
  try {
    const fields: unknown = JSON.parse(data);
    if (!isFields(fields)) return { type: "unreadable", reason: "its data is no object" };
    return readFields(event, fields);
  } catch (error) {
    return { type: "unreadable", reason: (error as Error).message };
  }
}

const KNOWN = new Set(["delta", "done", "error", "state"]);

function readFields(event: string, fields: Readonly<Record<string, unknown>>): RemoteEvent {
  switch (event) {
    case "delta": {
      const { text, chunk } = fields;
      if (chunk !== undefined) return { type: "delta", chunk: fromJsonValue(chunk) };
      return typeof text === "string"
        ? { type: "delta", chunk: text }
        : { type: "unreadable", reason: "it has no text" };
    }
    case "done":
      return { type: "done", value: valueOf(fields), usage: readUsage(fields["usage"]) };
    case "error": {
      const { code, message, retryable } = fields;
      const question = readQuestion(fields["question"]);
      return {
        type: "error",
        code: typeof code === "string" && code !== "" ? code : AGENT_ERROR,
        message: typeof message === "string" && message !== "" ? message : "the agent failed and did not say why",
        ...(typeof retryable === "boolean" && { retryable }),
        ...(question !== undefined && { question }),
      };
    }
    default:
      return { type: "state", state: String(fields["state"]), detail: fields["detail"] };
  }
}

/** `undefined` where the event has neither `output` nor `final_message`: then the deltas are the answer. */
function valueOf({ output, final_message: message }: Readonly<Record<string, unknown>>): unknown {
  if (output !== undefined) return fromJsonValue(output);
  if (message === undefined || message === null) return undefined;
  return isFields(message) && typeof message["content"] === "string" ? message["content"] : message;
}

export function readUsage(usage: unknown): UsageReport | null {
  if (!isFields(usage)) return null;
  const [input, output] = [amount(usage["prompt_tokens"]), amount(usage["completion_tokens"])];
  const total = amount(usage["total_tokens"]) ?? amount(usage["tokens"]) ?? 0;
  const costUsd = amount(usage["cost_usd"]);
  return {
    // Who gives the total only, or less than it, has the rest counted as input.
    inputTokens: Math.max(input ?? 0, total - (output ?? 0)),
    outputTokens: output ?? 0,
    ...(costUsd !== undefined && { costUsd }),
  };
}

function readQuestion(question: unknown): RemoteQuestion | undefined {
  if (!isFields(question) || typeof question["id"] !== "string") return undefined;
  return { id: question["id"], prompt: fromJsonValue(question["prompt"] ?? null) };
}

function amount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

export function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
