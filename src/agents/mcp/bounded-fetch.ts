// Bounded fetch: requests to one MCP server over HTTP, which may neither lead elsewhere nor answer without end.

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

export interface FetchBounds {
  /** Only its origin is asked. */
  readonly url: URL;
  /** Of a body; of one event where it is a stream of events, which may go on for long. */
  readonly bytesMax: number;
}

/** @throws {TypeError} for another origin, a redirect, and a body (or event) above the limit, where it is read */
export function boundedFetch({ url, bytesMax }: FetchBounds): Fetch {
  return async (to, init) => {
    if (new URL(to).origin !== url.origin) throw new TypeError(`only ${url.origin} may be asked`);
    // A redirect could lead into the network this host stands in, with the headers meant for the server.
    const response = await fetch(to, { ...init, redirect: "error" });
    if (response.body === null) return response;
    const events = response.headers.get("content-type")?.includes("text/event-stream") === true;
    const body = response.body.pipeThrough(events ? eventLimit(bytesMax) : bodyLimit(bytesMax));
    const { status, statusText, headers } = response;
    return new Response(body, { status, statusText, headers });
  };
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
