// Option schema
//
// What options look like, checked when they are given rather than when they are first used. Every refusal is one
// ORCH_BAD_OPTION that names the path, what was expected and what was found.

import { z } from "zod";

import { errorToData } from "../base/error-data.ts";
import { OrchestraError } from "../base/errors.ts";
import { didYouMean } from "./did-you-mean.ts";

/** Milliseconds above 0, or `false`. 0 is refused: whoever writes it means either "none" or "at once", and we cannot know which. */
export const durationMs = check<number | false>(
  (value) => value === false || (isFinite(value) && value > 0),
  "milliseconds above 0, or false to switch the bound off",
);
/** A whole number from 1, or `false`. */
export const bound = check<number | false>(
  (value) => value === false || (Number.isInteger(value) && Number(value) >= 1),
  "a whole number from 1, or false to switch the bound off",
);
export const amount = check<number | false>(
  (value) => value === false || (isFinite(value) && value > 0),
  "a number above 0, or false to switch the bound off",
);
export const count = check<number>((value) => Number.isInteger(value) && Number(value) >= 1, "a whole number from 1");
export const countFrom0 = check<number>(
  (value) => Number.isInteger(value) && Number(value) >= 0,
  "a whole number from 0",
);
export const delayMs = check<number>((value) => isFinite(value) && value >= 0, "milliseconds, 0 or more");
export const flag = check<boolean>((value) => typeof value === "boolean", "true or false");
export const text = check<string>((value) => typeof value === "string" && value !== "", "a non-empty string");
export const record = check<Record<string, unknown>>(isRecord, "an object");

/** A value that passes `test`, or is absent. `expected` completes the sentence "expected …". */
export function check<T>(test: (value: unknown) => boolean, expected: string) {
  return z.custom<T>((value) => test(value), { error: `expected ${expected}` }).optional();
}

/** An object that has a method of each of these names. */
export function having<T>(expected: string, ...methods: readonly string[]) {
  return check<T>(
    (value) => isRecordLike(value) && methods.every((name) => typeof value[name] === "function"),
    expected,
  );
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

export function isRecordLike(value: unknown): value is Record<string, unknown> {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/**
 * `value` when the schema takes it.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` with every bad option of `value`, each with its path below `at`.
 */
export function assertOptions(schema: z.ZodObject, value: unknown, at = ""): void {
  if (!isRecordLike(value) || Array.isArray(value) || typeof value === "function") {
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `${at === "" ? "options" : at}: expected an object, got ${shown(value)}`,
    );
  }
  const checked = attempt(at === "" ? "options" : at, () => schema.safeParse(value));
  if (checked.success) return;
  const problems = checked.error.issues.flatMap((issue) => describe(schema, value, issue, at));
  throw new OrchestraError("ORCH_BAD_OPTION", problems.map(({ message }) => message).join("; "), {
    details: { paths: problems.map(({ path }) => path) },
  });
}

/** What a user's getter or method gives. @throws {OrchestraError} `ORCH_BAD_OPTION` with what it threw as `cause`. */
export function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new OrchestraError("ORCH_BAD_OPTION", `${path}: could not be read: ${errorToData(cause).message}`, { cause });
  }
}

function describe(
  schema: z.ZodObject,
  value: unknown,
  issue: z.core.$ZodIssue,
  at: string,
): { path: string; message: string }[] {
  const path = [...(at === "" ? [] : [at]), ...issue.path.map(String)].join(".");
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(schema, issue.path);
    return issue.keys.map((key) => {
      const full = path === "" ? key : `${path}.${key}`;
      return {
        path: full,
        message: `${full}: unknown option${didYouMean(key, known) || `; known are ${known.join(", ")}`}`,
      };
    });
  }
  const found = issue.path.reduce<unknown>(
    (inner, key) => (isRecordLike(inner) ? inner[String(key)] : undefined),
    value,
  );
  const expected =
    issue.code === "custom"
      ? issue.message
      : issue.code === "invalid_type"
        ? `expected ${issue.expected === "object" ? "an object" : issue.expected}`
        : issue.message;
  return [{ path, message: `${path}: ${expected}, got ${shown(found)}` }];
}

function knownKeys(schema: z.ZodObject, path: readonly PropertyKey[]): string[] {
  let inner: unknown = schema;
  for (const key of path) {
    if (!(inner instanceof z.ZodObject)) return [];
    inner = (inner.shape as Record<string, unknown>)[String(key)];
    while (inner instanceof z.ZodOptional) inner = inner.unwrap();
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

export function shown(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint" || typeof value === "symbol" || (typeof value === "number" && !Number.isFinite(value)))
    return String(value);
  if (typeof value === "object" && value !== null) {
    if (Array.isArray(value)) return "an array";
    const name = (value as { constructor?: { name?: string } }).constructor?.name;
    return name === undefined || name === "Object" ? "an object" : `an instance of ${name}`;
  }
  return JSON.stringify(value) ?? "undefined";
}

function isFinite(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
