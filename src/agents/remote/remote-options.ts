// Options of agents that are called over HTTP, checked when they are given.

import { validateHeaderName, validateHeaderValue } from "node:http";

import { OrchestraError } from "../../base/errors.ts";
import { shown } from "../../runtime/option-schema.ts";
import { MESSAGES_MAX } from "./protocol.ts";

/** What the call itself says. */
const OWN_HEADERS = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-length",
  "content-type",
  "host",
  "idempotency-key",
  "transfer-encoding",
  "x-run-id",
  "x-session-id",
]);

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertRemoteOptions(
  maker: string,
  options: {
    readonly headers?: unknown;
    readonly timeoutMs?: unknown;
    readonly idleTimeoutMs?: unknown;
    readonly context?: unknown;
    readonly history?: unknown;
  },
): void {
  const { headers, timeoutMs, idleTimeoutMs, context, history } = options;
  if (headers !== undefined && typeof headers !== "function") assertHeaders(maker, headers);
  for (const [field, value] of [
    ["timeoutMs", timeoutMs],
    ["idleTimeoutMs", idleTimeoutMs],
  ] as const) {
    if (value !== undefined && value !== false && !(typeof value === "number" && value > 0))
      throw bad(maker, field, "milliseconds above 0, or false", value);
  }
  if (context !== undefined && !(Array.isArray(context) && context.every((key) => typeof key === "string")))
    throw bad(maker, "context", "names of fields of the run's context", context);
  if (history !== undefined && !(Number.isInteger(history) && Number(history) >= 0 && Number(history) <= MESSAGES_MAX))
    throw bad(maker, "history", `a whole number from 0 to ${MESSAGES_MAX}`, history);
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` for a header that cannot be sent, or that the call sets itself. */
export function assertHeaders(maker: string, headers: unknown): Record<string, string> {
  // Values may be secrets, so they are not quoted.
  if (typeof headers !== "object" || headers === null) throw bad(maker, "headers", "an object of texts", UNQUOTED);
  for (const [name, value] of Object.entries(headers) as [string, unknown][]) {
    if (OWN_HEADERS.has(name.toLowerCase()))
      throw bad(maker, `headers.${name}`, "a header that the call does not set itself", name);
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value as string);
    } catch {
      throw new OrchestraError("ORCH_BAD_OPTION", `${maker}: headers.${name}: expected a text that a header can hold`);
    }
  }
  return headers as Record<string, string>;
}

/**
 * The address of `path` below an endpoint; an empty one is the endpoint itself.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` for what is no URL, or has credentials in it.
 */
export function parseEndpoint(maker: string, endpoint: unknown, path: string): URL {
  const url = URL.canParse(String(endpoint)) ? new URL(String(endpoint)) : undefined;
  if (url === undefined) throw bad(maker, "endpoint", "a URL such as https://agents.example.com/writer", UNQUOTED);
  if (url.username !== "" || url.password !== "")
    throw new OrchestraError("ORCH_BAD_OPTION", `${maker}: endpoint: put credentials into the option "headers"`);
  url.hash = "";
  if (path !== "") url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path}`;
  return url;
}

/** In place of what may hold a secret. */
const UNQUOTED = Symbol("something else");

function bad(maker: string, field: string, expected: string, found: unknown): OrchestraError {
  const got = found === UNQUOTED ? UNQUOTED.description : shown(found);
  return new OrchestraError("ORCH_BAD_OPTION", `${maker}: ${field}: expected ${expected}, got ${got}`);
}
