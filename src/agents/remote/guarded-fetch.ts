// Guarded fetch: the `fetch` that the A2A SDK is given. It goes where the endpoint guard lets it, sends credentials to one
// origin only, and bounds what comes back.

import type { IncomingMessage } from "node:http";

import { RemoteAgentError } from "./remote-error.ts";
import type { CallDeadlines } from "./deadlines.ts";
import type { EndpointGuard } from "./endpoint-guard.ts";
import { bodyOf, httpCall } from "./http-call.ts";
import { AGENT_ERROR } from "./protocol.ts";
import { refusedBy } from "./refused-by.ts";
import { assertSize, type RemoteLimits } from "./remote-limits.ts";
import { SseReader } from "./sse-reader.ts";
import type { Clock } from "../../base/clock.ts";

export interface GuardedFetchOptions {
  readonly guard: EndpointGuard;
  readonly deadlines: CallDeadlines;
  readonly clock: Clock;
  /** Sent to `origin`, and nowhere else. */
  readonly headers: Readonly<Record<string, string>>;
  readonly origin: string;
  readonly limits: RemoteLimits;
}

/** Answers that say nothing about the request itself are errors, which retries go by; the SDK reads the others. */
function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500 || (status >= 300 && status < 400);
}

export function guardedFetch(options: GuardedFetchOptions): typeof fetch {
  const { guard, deadlines, clock, headers, origin, limits } = options;
  return async (input, init) => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
    assertSize("request to the remote agent", body?.byteLength ?? 0, limits.requestBytesMax);
    const signal = AbortSignal.any([deadlines.signal, request.signal]);
    const answer = await httpCall({
      url,
      method: request.method,
      headers: {
        ...Object.fromEntries(request.headers),
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
    const pieces = bounded(answer, signal, deadlines, limits);
    const type = answer.headers["content-type"];
    return new Response(status === 204 ? null : ReadableStream.from(pieces), {
      status,
      ...(type !== undefined && { headers: { "content-type": type } }),
    });
  };
}

async function* bounded(
  answer: IncomingMessage,
  signal: AbortSignal,
  deadlines: CallDeadlines,
  { responseBytesMax, eventBytesMax, eventsMax }: RemoteLimits,
): AsyncGenerator<Uint8Array> {
  const isStream = /^text\/event-stream\b/i.test(answer.headers["content-type"] ?? "");
  const reader = isStream ? new SseReader(eventBytesMax) : undefined;
  let [bytes, events] = [0, 0];
  try {
    for await (const piece of bodyOf(answer, signal)) {
      deadlines.alive();
      assertSize("answer of the remote agent", (bytes += piece.byteLength), responseBytesMax);
      events += reader?.push(piece).length ?? 0;
      assertSize("answer of the remote agent", events, eventsMax, "events");
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
