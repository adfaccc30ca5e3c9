// Guarded fetch: the `fetch` that the A2A SDK is given. It goes where the endpoint guard lets it, sends credentials to one
// origin only, and bounds what comes back.

import { RemoteAgentError } from "./remote-error.ts";
import type { CallDeadlines } from "./deadlines.ts";
import type { EndpointGuard } from "./endpoint-guard.ts";
import { bodyOf, httpCall } from "./http-call.ts";
import { AGENT_ERROR } from "./protocol.ts";
import { refusedBy } from "./refused-by.ts";
import { assertSize } from "./remote-limits.ts";
import type { Clock } from "../../base/clock.ts";

export interface GuardedFetchOptions {
  readonly guard: EndpointGuard;
  readonly deadlines: CallDeadlines;
  readonly clock: Clock;
  /** Sent to `origin`, and nowhere else. */
  readonly headers: Readonly<Record<string, string>>;
  readonly origin: string;
  readonly requestBytesMax: number;
  readonly responseBytesMax: number;
}

/** Answers that say nothing about the request itself are errors, which retries go by; the SDK reads the others. */
function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500 || (status >= 300 && status < 400);
}

export function guardedFetch(options: GuardedFetchOptions): typeof fetch {
  const { guard, deadlines, clock, headers, origin, requestBytesMax, responseBytesMax } = options;
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (typeof init.body !== "string" && init.body !== undefined && init.body !== null)
      throw new TypeError("guardedFetch: expected a body of text");
    const body = init.body ?? undefined;
    if (body !== undefined) assertSize("request to the remote agent", Buffer.byteLength(body), requestBytesMax);
    const { signal } = deadlines;
    const answer = await httpCall({
      url,
      method: init.method ?? "GET",
      headers: {
        ...Object.fromEntries(new Headers(init.headers)),
        "accept-encoding": "identity",
        ...(url.origin === origin && headers),
      },
      ...(body !== undefined && { body }),
      signal,
      guard,
    });
    deadlines.alive();
    const status = answer.statusCode ?? 0;
    if (isPassing(status)) throw await refusedBy(url, answer, signal, clock);
    const pieces = bounded(bodyOf(answer, signal), responseBytesMax, deadlines);
    const type = answer.headers["content-type"];
    return new Response(status === 204 ? null : ReadableStream.from(pieces), {
      status,
      ...(type !== undefined && { headers: { "content-type": type } }),
    });
  };
}

async function* bounded(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
  deadlines: CallDeadlines,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for await (const piece of body) {
      deadlines.alive();
      assertSize("answer of the remote agent", (bytes += piece.byteLength), bytesMax);
      yield piece;
    }
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ECONNRESET") throw error;
    throw new RemoteAgentError("the connection broke before the answer was whole", {
      remoteCode: AGENT_ERROR,
      retryable: true,
      cause: error,
    });
  }
}
