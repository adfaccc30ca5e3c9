// JSON body: what a request carries, with bounds on its size and on the time it takes to come.

import type { IncomingMessage } from "node:http";

import type { Clock } from "../../base/clock.ts";
import { RefusedRequest } from "./refused-request.ts";

export interface BodyBounds {
  readonly bytesMax: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** @throws {RefusedRequest} 400, 408, 413 or 415. */
export async function readJsonBody(request: IncomingMessage, bounds: BodyBounds): Promise<unknown> {
  // A parser of the framework that this is mounted in was quicker.
  const { body } = request as { body?: unknown };
  if (body !== undefined && request.readableEnded) return body;
  const type = request.headers["content-type"] ?? "";
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(type))
    throw new RefusedRequest(415, "expected a body of content-type application/json");
  const text = await readText(request, bounds);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new RefusedRequest(400, "invalid request body");
  }
}

function readText(request: IncomingMessage, { bytesMax, timeoutMs, clock }: BodyBounds): Promise<string> {
  const tooLarge = (): RefusedRequest =>
    new RefusedRequest(413, `the request body is larger than ${bytesMax} bytes`, { connection: "close" });
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const end = (error?: Error): void => {
      cancelTimer();
      request.off("data", onData).off("end", onEnd).off("close", onClose);
      if (error === undefined) resolve(Buffer.concat(pieces).toString("utf8"));
      else {
        request.pause();
        reject(error);
      }
    };
    const onData = (piece: Buffer): void => {
      pieces.push(piece);
      if ((bytes += piece.byteLength) > bytesMax) end(tooLarge());
    };
    const onEnd = (): void => end();
    const onClose = (): void => end(new RefusedRequest(400, "the request body broke off"));
    const onTimeout = (): void =>
      end(new RefusedRequest(408, `the request body did not come within ${timeoutMs} ms`, { connection: "close" }));
    const cancelTimer = clock.setTimer(timeoutMs, onTimeout);
    request.on("data", onData).on("end", onEnd).on("close", onClose);
  });
}
