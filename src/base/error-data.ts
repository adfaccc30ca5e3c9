// Errors as data
//
// What is kept of a failure when it is stored, sent or shown, and the error made of it again.

import { OrchestraError, type ErrorData } from "./errors.ts";
import { makeError } from "./stored-error.ts";
import { copyValue } from "./value.ts";

const CAUSES_MAX = 8;
const MESSAGE_LENGTH_MAX = 16 * 1024;
const STACK_LENGTH_MAX = 8 * 1024;
const DATA_BYTES_MAX = 64 * 1024;

export interface ErrorDataOptions {
  /** Code of an error that has none. Default `ORCH_AGENT_FAILED`. */
  readonly fallbackCode?: string;
  /** Keeps the stack of the outermost error, at most 8 KiB. Default false. */
  readonly stack?: boolean;
}

/**
 * Any thrown thing as plain data: its code, message (at most 16 KiB characters), name, up to 8 causes, and its
 * `data` (for an OrchestraError its `details`) where that is plain and below 64 KiB. Never throws.
 */
export function errorToData(error: unknown, options: ErrorDataOptions = {}): ErrorData {
  try {
    return describe(error, options, CAUSES_MAX);
  } catch {
    return { code: options.fallbackCode ?? "ORCH_AGENT_FAILED", message: "something was thrown that cannot be read" };
  }
}

/** An Error with the name, message, code, data and causes of `data`. Its stack is the stored one, or one line. */
export function errorFromData(data: ErrorData): Error {
  const error = makeError({
    name: data.name ?? "Error",
    message: data.message,
    code: data.code,
    ...(data.data === undefined ? {} : { data: data.data }),
    ...(data.cause === undefined ? {} : { cause: errorFromData(data.cause) }),
  });
  if (data.stack !== undefined) error.stack = data.stack;
  return error;
}

function describe(error: unknown, options: ErrorDataOptions, causesLeft: number): ErrorData {
  const fallback = options.fallbackCode ?? "ORCH_AGENT_FAILED";
  if (error === null || (typeof error !== "object" && typeof error !== "function"))
    return { code: fallback, message: cut(String(error), MESSAGE_LENGTH_MAX) };
  const code = read(error, "code");
  const message = read(error, "message");
  const name = read(error, "name");
  const stack = options.stack === true ? read(error, "stack") : undefined;
  const data = detailsOf(error) ?? read(error, "data");
  const errors = read(error, "errors");
  const cause = read(error, "cause") ?? (Array.isArray(errors) ? (errors as unknown[])[0] : undefined);
  const kept = data === undefined ? undefined : plainOrNothing(data);
  return {
    code: typeof code === "string" || typeof code === "number" ? cut(String(code), 200) : fallback,
    message: cut(typeof message === "string" ? message : nameless(error), MESSAGE_LENGTH_MAX),
    ...(typeof name === "string" ? { name: cut(name, 200) } : {}),
    ...(typeof stack === "string" ? { stack: cut(stack, STACK_LENGTH_MAX) } : {}),
    ...(kept === undefined ? {} : { data: kept }),
    ...(cause === undefined || cause === null || causesLeft === 0
      ? {}
      : { cause: describe(cause, { fallbackCode: fallback }, causesLeft - 1) }),
  };
}

// A proxy that was revoked, or whose traps throw, cannot even be asked what it is.
function detailsOf(error: object): unknown {
  try {
    return error instanceof OrchestraError && Object.keys(error.details).length > 0 ? error.details : undefined;
  } catch {
    return undefined;
  }
}

function cut(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`;
}

// Whoever made the error may have put an accessor there that throws.
function read(from: object, key: string): unknown {
  try {
    return (from as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function plainOrNothing(data: unknown): unknown {
  try {
    return copyValue(data, { bytesMax: DATA_BYTES_MAX, name: "error.data" }).value;
  } catch {
    return undefined;
  }
}

function nameless(error: object): string {
  const plain = plainOrNothing(error);
  if (plain === undefined) return "an object without a message was thrown";
  return JSON.stringify(plain, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value)) ?? "null";
}
