// HTTP door: what serving by one protocol has in common with serving by another. Who may call, where, and how a refusal looks.

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

import { errorToData } from "../../base/error-data.ts";
import type { Logger } from "../../base/logger.ts";
import type { MaybePromise } from "../../runtime/agent.ts";
import { RefusedRequest } from "./refused-request.ts";

/** What there is to judge a caller by. */
export interface CallerInfo {
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string | undefined;
  readonly method: string;
  readonly path: string;
}

/** Who the caller is: a name, or just whether it may call. Callers of one name share their records. */
export type Authorize = (caller: CallerInfo) => MaybePromise<string | boolean>;

/** For `http.createServer`, or mounted in a framework that is built on it. */
export interface RequestHandler {
  (request: IncomingMessage, response: ServerResponse): void;
  /** Refuses further calls with 503, ends those under way without a result, and lets go of the store. Idempotent. */
  close(): Promise<void>;
}

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  /** Below the base path, without the query. */
  readonly path: string;
  readonly principal: string;
  /** Aborts when the connection is gone. */
  readonly signal: AbortSignal;
}

export interface DoorOptions {
  readonly basePath: string;
  readonly authorize: Authorize | undefined;
  readonly logger: Logger;
  /** Paths that need nobody's leave, with the method. */
  readonly open: readonly string[];
  handle(exchange: Exchange): Promise<void>;
  close(): Promise<void>;
}

export function httpDoor(options: DoorOptions): RequestHandler {
  let closing: Promise<void> | undefined;
  const responses = new Set<ServerResponse>();
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    if (closing !== undefined) return refuse(response, new RefusedRequest(503, "closing", { connection: "close" }));
    responses.add(response);
    response.on("close", () => responses.delete(response));
    // A caller may break off at any time; what that makes of the streams is of no interest.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    exchange(options, request, response).catch((error: unknown) => {
      if (!(error instanceof RefusedRequest))
        options.logger.error({ error: errorToData(error) }, "a call from outside could not be handled");
      if (response.headersSent) response.destroy();
      else refuse(response, error instanceof RefusedRequest ? error : new RefusedRequest(500, "internal error"));
    });
  };
  const close = async (): Promise<void> => {
    await options.close();
    for (const response of responses) response.destroy();
  };
  return Object.assign(handler, { close: () => (closing ??= close()) });
}

async function exchange(options: DoorOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { basePath, authorize, open } = options;
  const { method = "GET", url = "/" } = request;
  const [whole = "/"] = url.split("?");
  if (!whole.startsWith(basePath)) throw new RefusedRequest(404, "not found");
  const path = whole.slice(basePath.length) || "/";
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const principal = open.includes(`${method} ${path}`) ? "" : await principalOf(authorize, request, method, path);
  await options.handle({ request, response, method, path, principal, signal: gone.signal });
}

async function principalOf(
  authorize: Authorize | undefined,
  { headers, socket }: IncomingMessage,
  method: string,
  path: string,
): Promise<string> {
  if (authorize === undefined) return "";
  const verdict: unknown = await authorize({ headers, remoteAddress: socket.remoteAddress, method, path });
  if (verdict === true) return "";
  if (typeof verdict === "string" && verdict !== "") return verdict;
  throw new RefusedRequest(401, "unauthorized");
}

/** @throws {RefusedRequest} 405 */
export function assertMethod({ method }: Exchange, allowed: string): void {
  if (method !== allowed) throw new RefusedRequest(405, `expected ${allowed}`, { allow: allowed });
}

export function answerJson(
  response: ServerResponse,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, { status, message, headers }: RefusedRequest): void {
  response
    .writeHead(status, { "content-type": "application/json", ...headers })
    .end(JSON.stringify({ error: message }));
}
