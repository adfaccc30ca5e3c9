// Refused by the other side: an answer other than 200 as an error, with what its body says.

import type { IncomingMessage } from "node:http";

import type { Clock } from "../../base/clock.ts";
import { bodyOf } from "./http-call.ts";
import { AGENT_ERROR, isFields, shownUrl } from "./protocol.ts";
import { RemoteAgentError } from "./remote-error.ts";

/** Of a body that explains a refusal, so much is read. */
const EXPLANATION_BYTES_MAX = 8 * 1024;

/** Reads the rest of the answer. @throws the signal's reason once it aborted. */
export async function refusedBy(
  url: URL,
  answer: IncomingMessage,
  signal: AbortSignal,
  clock: Clock,
): Promise<RemoteAgentError> {
  const status = answer.statusCode ?? 0;
  const { location, "retry-after": retryAfter } = answer.headers;
  const explanation = await explanationOf(answer, signal);
  const retryAfterMs = retryAfterOf(retryAfter, clock.nowMs());
  const redirected = status >= 300 && status < 400 && location !== undefined;
  const said = redirected ? `redirects to ${location.replace(/\?.*$/, "")}; redirects are not followed` : explanation;
  return new RemoteAgentError(`${shownUrl(url)} answered ${status}${said === "" ? "" : `: ${said}`}`, {
    remoteCode: AGENT_ERROR,
    status,
    details: { endpoint: shownUrl(url) },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

async function explanationOf(answer: IncomingMessage, signal: AbortSignal): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of bodyOf(answer, signal)) {
      pieces.push(piece);
      if ((bytes += piece.byteLength) >= EXPLANATION_BYTES_MAX) break;
    }
  } catch {
    // The status says what matters; but a call that was given up is told as that.
    signal.throwIfAborted();
  }
  const text = Buffer.concat(pieces).toString("utf8", 0, EXPLANATION_BYTES_MAX).trim();
  return errorTextOf(text) ?? text.slice(0, 200);
}

/** `{"error": text}` and `{"error": {"message": text}}`. */
function errorTextOf(body: string): string | undefined {
  try {
    const fields: unknown = JSON.parse(body);
    const error = isFields(fields) ? fields["error"] : undefined;
    const text = isFields(error) ? error["message"] : error;
    return typeof text === "string" ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds, or a date (RFC 9110, section 10.2.3). */
function retryAfterOf(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const atMs = Date.parse(header);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}
