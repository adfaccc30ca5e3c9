// Control protocol
//
// How another process of the same user speaks to the one that has a store open: JSON, a line each way, over a local
// socket. Version 1:
//
//   → {"control":1,"token":"…"}                                  first, within HELLO_MS
//   ← {"control":1,"pid":123}                                    or {"control":1,"error":{…}} and the end
//   → {"id":1,"op":"pause","args":{"sessionId":"s"}}
//   ← {"id":1,"value":true}                                      or {"id":1,"error":{"code","message","details"}}
//   → {"id":2,"op":"events","args":{"sessionId":"s"}}
//   ← {"id":2,"item":{…}} … {"id":2,"end":true}                  or an error in place of the end
//   → {"id":2,"stop":true}                                       no more of it; answered by its end

import { z } from "zod";

import { ERROR_CODES, OrchestraError, type OrchestraErrorCode } from "../index.ts";
import type { Operations } from "./operations.ts";

export const CONTROL_VERSION = 1;

/** A client that has not said who it is by then is let go of. */
export const HELLO_MS = 5_000;
/** Connections at a time; one more is refused with `ORCH_OVERLOADED`. */
export const CONNECTIONS_MAX = 32;
const DETAILS_LENGTH_MAX = 64 * 1024;
/** Requests under way on one connection; one more is refused with `ORCH_OVERLOADED`. */
export const REQUESTS_MAX = 64;
/** A longer request ends its connection with `ORCH_PAYLOAD_TOO_LARGE`. */
export const REQUEST_BYTES_MAX = 1024 * 1024;
/** A longer answer is replaced by `ORCH_PAYLOAD_TOO_LARGE`. A value between agents has at most 16 MiB. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

const sessionId = z.string().max(200);
const reason = z.string().max(10_000).optional();
const status = z.enum(["idle", "running", "paused", "awaiting_user", "completed", "failed", "cancelled"]);

const CALLS = {
  sessions: z.strictObject({
    status: status.optional(),
    limit: z.int().min(1).max(1000).optional(),
    cursor: sessionId.optional(),
  }),
  session: z.strictObject({ sessionId }),
  result: z.strictObject({ sessionId }),
  why: z.strictObject({ sessionId }),
  questions: z.strictObject({ sessionId }),
  checkpoints: z.strictObject({ sessionId }),
  pause: z.strictObject({ sessionId, reason, inFlight: z.enum(["finish", "abort"]).optional() }),
  cancel: z.strictObject({ sessionId, reason }),
  answer: z.strictObject({ sessionId, questionId: z.string().max(200), value: z.unknown() }),
  checkpoint: z.strictObject({ sessionId, name: z.string().max(1000).optional() }),
  restore: z.strictObject({ checkpointId: sessionId }),
  fork: z.strictObject({ checkpointId: sessionId, sessionId: sessionId.optional() }),
  diff: z.strictObject({ a: sessionId, b: sessionId }),
} satisfies Partial<Record<keyof Operations, z.ZodType>>;

const STREAMS = {
  events: z.strictObject({ sessionId, after: z.int().min(0).optional(), follow: z.boolean().optional() }),
  export: z.strictObject({ sessionId }),
} satisfies Partial<Record<keyof Operations, z.ZodType>>;

export type CallName = keyof typeof CALLS;
export type StreamName = keyof typeof STREAMS;

export const CALL_NAMES = Object.keys(CALLS) as readonly CallName[];
export const STREAM_NAMES = Object.keys(STREAMS) as readonly StreamName[];

export const helloSchema = z.object({ control: z.int(), token: z.string() });

const id = z.int().min(0);
const requestSchema = z.union([
  z.strictObject({ id, stop: z.literal(true) }),
  z.strictObject({ id, op: z.string().max(100), args: z.unknown() }),
]);

export type Request =
  | { readonly id: number; readonly kind: "stop" }
  | { readonly id: number; readonly kind: "call"; readonly op: CallName; readonly args: unknown }
  | { readonly id: number; readonly kind: "stream"; readonly op: StreamName; readonly args: unknown };

/** @throws {OrchestraError} `ORCH_CONTROL` for what is no request; with `details.id` where it has one. */
export function parseRequest(line: string): Request {
  const request = parse(requestSchema, json(line), "a request");
  if ("stop" in request) return { id: request.id, kind: "stop" };
  const details = { id: request.id };
  if (isOneOf(CALL_NAMES, request.op))
    return {
      id: request.id,
      kind: "call",
      op: request.op,
      args: parse(CALLS[request.op] as z.ZodType, request.args, request.op, details),
    };
  if (isOneOf(STREAM_NAMES, request.op))
    return {
      id: request.id,
      kind: "stream",
      op: request.op,
      args: parse(STREAMS[request.op] as z.ZodType, request.args, request.op, details),
    };
  throw new OrchestraError(
    "ORCH_CONTROL",
    `no operation "${request.op}"; expected one of ${[...CALL_NAMES, ...STREAM_NAMES].join(", ")}`,
    { details },
  );
}

/** @throws {OrchestraError} `ORCH_CONTROL` */
export function parseHello(line: string): z.infer<typeof helloSchema> {
  return parse(helloSchema, json(line), "a greeting");
}

const wireError = z.object({
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});
export type WireError = z.infer<typeof wireError>;

const welcomeSchema = z.object({ control: z.int(), pid: z.int().optional(), error: wireError.optional() });
const answerSchema = z.union([
  z.object({ id, error: wireError }),
  z.object({ id, end: z.literal(true) }),
  z.object({ id, item: z.unknown() }),
  z.object({ id, value: z.unknown() }),
]);
export type Answer = z.infer<typeof answerSchema>;

/** @throws {OrchestraError} `ORCH_CONTROL` */
export function parseWelcome(line: string): z.infer<typeof welcomeSchema> {
  return parse(welcomeSchema, json(line), "a welcome");
}

/** @throws {OrchestraError} `ORCH_CONTROL` */
export function parseAnswer(line: string): Answer {
  return parse(answerSchema, json(line), "an answer");
}

/** What of an error goes over the wire. One without a code of ours is a defect there, and told as `ORCH_CONTROL`. */
export function errorToWire(error: unknown): WireError {
  if (!(error instanceof OrchestraError))
    return {
      code: "ORCH_CONTROL",
      message: `it failed within: ${error instanceof Error ? error.message : String(error)}`,
    };
  return { code: error.code, message: error.message, details: detailsToWire(error.details) };
}

/** What JSON cannot say, or is too much of it, is left out: the code and the message arrive in any case. */
function detailsToWire(details: OrchestraError["details"]): Record<string, unknown> {
  const told: Record<string, unknown> = {};
  let left = DETAILS_LENGTH_MAX;
  for (const [name, value] of Object.entries(details)) {
    try {
      const text = JSON.stringify(value);
      if (text === undefined || text.length > left) continue;
      left -= text.length;
      told[name] = JSON.parse(text);
    } catch {
      continue;
    }
  }
  return told;
}

export function errorFromWire({ code, message, details = {} }: WireError): OrchestraError {
  return new OrchestraError(
    isOneOf(ERROR_CODES, code) ? code : ("ORCH_CONTROL" satisfies OrchestraErrorCode),
    message,
    {
      details,
    },
  );
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new OrchestraError("ORCH_CONTROL", `expected a line of JSON, got ${JSON.stringify(line.slice(0, 80))}`);
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown, what: string, details: Record<string, unknown> = {}): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => [path.join("."), message].filter(Boolean).join(": "));
  throw new OrchestraError("ORCH_CONTROL", `${what}: ${problems.join("; ")}`, { details });
}

function isOneOf<T extends string>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name);
}
