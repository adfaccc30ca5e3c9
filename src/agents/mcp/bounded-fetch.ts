// Bounded fetch: requests to one MCP server over HTTP, which may neither lead elsewhere nor answer without end.

import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";

import { NEVER_ABORTED } from "../tools/time-limit.ts";
import type { EndpointGuard } from "../remote/endpoint-guard.ts";
import { httpCall } from "../remote/http-call.ts";

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

export interface FetchBounds {
  /** Only its origin is asked. */
  readonly url: URL;
  readonly guard: EndpointGuard;
  /** Of a body; of one event where it is a stream of events, which may go on for long. */
  readonly bytesMax: number;
}

const BODILESS: readonly number[] = [204, 205, 304];

/**
 * @throws {OrchestraError} `ORCH_ENDPOINT_REFUSED`
 * @throws {TypeError} for another origin, a redirect, and a body (or event) above the limit, where it is read
 */
export function boundedFetch({ url: { origin }, guard, bytesMax }: FetchBounds): Fetch {
  return async (to, { method = "GET", headers = {}, body, signal } = {}) => {
    const url = new URL(to);
    if (url.origin !== origin) throw new TypeError(`only ${origin} may be asked`);
    if (body !== undefined && body !== null && typeof body !== "string") throw new TypeError("a body is text here");
    const answer = await httpCall({
      url,
      method,
      headers: Object.fromEntries(new Headers(headers)),
      ...(typeof body === "string" && { body }),
      signal: signal ?? NEVER_ABORTED,
      guard,
    });
    const { statusCode: status = 0, statusMessage: statusText = "", rawHeaders } = answer;
    const response = { status, statusText, headers: headersOf(rawHeaders) };
    // Where it leads, the headers meant for the server are to be sent to nobody.
    if (status >= 300 && status < 400) {
      answer.destroy();
      throw new TypeError(`it answered with ${status}, and redirects are not followed`);
    }
    if (BODILESS.includes(status)) {
      answer.resume();
      return new Response(null, response);
    }
    const events = response.headers.get("content-type")?.includes("text/event-stream") === true;
    const bytes = Readable.toWeb(answer) as ReadableStream<Uint8Array>;
    return new Response(bytes.pipeThrough(events ? eventLimit(bytesMax) : bodyLimit(bytesMax)), response);
  };
}

function headersOf(raw: readonly string[]): Headers {
  const headers = new Headers();
  for (let i = 0; i + 1 < raw.length; i += 2) headers.append(raw[i] as string, raw[i + 1] as string);
  return headers;
}

function bodyLimit(bytesMax: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) controller.error(tooLarge(bytesMax));
      else controller.enqueue(chunk);
    },
  });
}

const LF = 10;
const CR = 13;

/** An event ends with an empty line (HTML Standard, 9.2.6); lines end with CR, LF or both. */
function eventLimit(bytesMax: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  let last = 0;
  let lineIsEmpty = true;
  return new TransformStream({
    transform(chunk, controller) {
      for (const byte of chunk) {
        bytes++;
        const ends = byte === CR || (byte === LF && last !== CR);
        if (ends && lineIsEmpty) bytes = 0;
        if (ends) lineIsEmpty = true;
        else if (byte !== LF) lineIsEmpty = false;
        last = byte;
        if (bytes <= bytesMax) continue;
        controller.error(tooLarge(bytesMax));
        return;
      }
      controller.enqueue(chunk);
    },
  });
}

function tooLarge(bytesMax: number): TypeError {
  return new TypeError(`the server sent a message above ${bytesMax} bytes`);
}
