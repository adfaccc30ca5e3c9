// Invoke body: the call in the body of `POST /invoke`, checked in the order that callers of the protocol know.

import { fromJsonValue } from "../../runtime/result-json.ts";
import { isFields, MESSAGES_MAX, type ProtocolMessage } from "../remote/protocol.ts";
import { RefusedRequest } from "./refused-request.ts";

export interface InvokeBody {
  readonly sessionId: string;
  readonly runId: string;
  readonly input: unknown;
  readonly messages: readonly ProtocolMessage[];
  readonly context: Readonly<Record<string, unknown>>;
  readonly answerTo?: string;
}

/** @throws {RefusedRequest} 400 */
export function parseInvokeBody(body: unknown): InvokeBody {
  if (!isFields(body)) throw new RefusedRequest(400, "invalid request body");
  const { session_id: sessionId, run_id: runId = "", input_message: message, messages = [], context = {} } = body;
  const { answer_to: answerTo } = body;
  if (typeof sessionId !== "string" || sessionId === "") throw new RefusedRequest(400, "session_id is required");
  if (typeof runId !== "string") throw new RefusedRequest(400, "run_id must be a text");
  const content = isFields(message) ? message["content"] : undefined;
  if (typeof content !== "string") throw new RefusedRequest(400, "input_message.content is required");
  if (!isFields(context)) throw new RefusedRequest(400, "context must be an object");
  if (answerTo !== undefined && typeof answerTo !== "string") throw new RefusedRequest(400, "answer_to must be a text");
  return {
    sessionId,
    runId,
    input: "input" in body ? readValue("input", body["input"]) : content,
    messages: parseMessages(messages),
    context: readValue("context", context) as Record<string, unknown>,
    ...(answerTo !== undefined && { answerTo }),
  };
}

function parseMessages(messages: unknown): readonly ProtocolMessage[] {
  if (!Array.isArray(messages) || messages.length > MESSAGES_MAX)
    throw new RefusedRequest(400, `messages must be a list of at most ${MESSAGES_MAX}`);
  return messages.map((message: unknown, i) => {
    const { role, content } = isFields(message) ? message : {};
    if (typeof role !== "string" || typeof content !== "string")
      throw new RefusedRequest(400, `messages[${i}] must have role and content`);
    return { role, content };
  });
}

function readValue(field: string, json: unknown): unknown {
  try {
    return fromJsonValue(json);
  } catch (error) {
    const why = error instanceof RangeError ? "is nested too deep" : "has a tag that cannot be read";
    throw new RefusedRequest(400, `${field} ${why}`);
  }
}
