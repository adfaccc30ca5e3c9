// HTTP call: one request under the endpoint guard, on a connection of its own. Redirects are answers like any other.

import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";

import type { EndpointGuard } from "./endpoint-guard.ts";

export interface HttpCall {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Its abort closes the connection, also while the body of the answer is read. */
  readonly signal: AbortSignal;
  readonly guard: EndpointGuard;
}

/**
 * Resolves with the head of the answer; its body is still to be read, or destroyed.
 *
 * @throws {OrchestraError} `ORCH_ENDPOINT_REFUSED`; the signal's reason once it aborted; errors of the connection as they are.
 */
export function httpCall({ url, method, headers, body, signal, guard }: HttpCall): Promise<IncomingMessage> {
  guard.assertUrl(url);
  signal.throwIfAborted();
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    // A connection that is kept would be one that was judged for an earlier call.
    const request = send(url, {
      method,
      headers: { ...headers, connection: "close" },
      agent: false,
      lookup: guard.lookup,
    });
    const onAbort = (): void => {
      reject(signal.reason as Error);
      request.destroy();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    request.on("close", () => {
      signal.removeEventListener("abort", onAbort);
      // After a switch of protocols there is neither an answer nor an error.
      reject(Object.assign(new Error("the connection closed without an answer"), { code: "ECONNRESET" }));
    });
    request.on("error", reject);
    request.on("response", resolve);
    request.end(body);
  });
}

/** The pieces of a body. @throws the signal's reason once it aborted; what broke the connection, as it is. */
export async function* bodyOf(answer: IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of answer) yield piece as Uint8Array;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    answer.destroy();
  }
}
