// Option schema
//
// What options look like, checked when they are given rather than when they are first used. Every refusal is one
// ORCH_BAD_OPTION that names the path, what was expected and what was found.

import { errorToData } from "../base/error-data.ts";
import { OrchestraError } from "../base/errors.ts";
import { didYouMean } from "./did-you-mean.ts";

/** Milliseconds above 0, or `false`. 0 is refused: whoever writes it means either "none" or "at once", and we cannot know which. */
export const durationMs = check(
  (value) => value === false || (isFinite(value) && value > 0),
  "milliseconds above 0, or false to switch the bound off",
);
/** A whole number from 1, or `false`. */
export const bound = check(
  (value) => value === false || (Number.isInteger(value) && Number(value) >= 1),
  "a whole number from 1, or false to switch the bound off",
);
export const amount = check(
  (value) => value === false || (isFinite(value) && value > 0),
  "a number above 0, or false to switch the bound off",
);
export const count = check((value) => Number.isInteger(value) && Number(value) >= 1, "a whole number from 1");
export const countFrom0 = check((value) => Number.isInteger(value) && Number(value) >= 0, "a whole number from 0");
export const delayMs = check((value) => isFinite(value) && value >= 0, "milliseconds, 0 or more");
export const flag = check((value) => typeof value === "boolean", "true or false");
export const text = check((value) => typeof value === "string" && value !== "", "a non-empty string");
export const callable = check((value) => typeof value === "function", "a function");
export const record = check(isRecord, "an object");

/** Any value, or none. */
export const anything = required(() => true, "anything");

/** What one option must be. */
export type OptionSchema =
  | { readonly kind: "value"; readonly test: (value: unknown) => boolean; readonly expected: string }
  | { readonly kind: "list"; readonly item: OptionSchema }
  | ObjectSchema;

/** Options by name, and no others. */
export interface ObjectSchema {
  readonly kind: "object";
  readonly fields: Readonly<Record<string, OptionSchema>>;
}

/** A value that passes `test`, or is absent. `expected` completes the sentence "expected …". */
export function check(test: (value: unknown) => boolean, expected: string): OptionSchema {
  return required((value) => value === undefined || test(value), expected);
}

/** A value that passes `test`; nothing passes only where `test` lets `undefined` pass. */
export function required(test: (value: unknown) => boolean, expected: string): OptionSchema {
  return { kind: "value", test, expected: `expected ${expected}` };
}

/** An object of these options, or absent. */
export function object(fields: ObjectSchema["fields"]): ObjectSchema {
  return { kind: "object", fields };
}

/** An array of such values, or absent. */
export function list(item: OptionSchema): OptionSchema {
  return { kind: "list", item };
}

/** An object that has a method of each of these names. */
export function having(expected: string, ...methods: readonly string[]): OptionSchema {
  return check((value) => isRecordLike(value) && methods.every((name) => typeof value[name] === "function"), expected);
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
export function assertOptions(schema: ObjectSchema, value: unknown, at = ""): void {
  if (!isRecordLike(value) || Array.isArray(value) || typeof value === "function") {
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `${at === "" ? "options" : at}: expected an object, got ${shown(value)}`,
    );
  }
  const problems = attempt(at === "" ? "options" : at, () => problemsIn(schema, value, at));
  if (problems.length === 0) return;
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

interface OptionProblem {
  readonly path: string;
  readonly message: string;
}

function problemsIn(schema: OptionSchema, value: unknown, path: string): OptionProblem[] {
  if (schema.kind === "value") return schema.test(value) ? [] : [wrong(path, schema.expected, value)];
  if (value === undefined) return [];
  if (schema.kind === "list") {
    if (!Array.isArray(value)) return [wrong(path, "expected an array", value)];
    return value.flatMap((item, i) =>
      item === undefined
        ? [wrong(below(path, i), "expected a value", item)]
        : problemsIn(schema.item, item, below(path, i)),
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return [wrong(path, "expected an object", value)];
  const given = value as Record<string, unknown>;
  const problems = Object.entries(schema.fields).flatMap(([name, field]) =>
    problemsIn(field, given[name], below(path, name)),
  );
  // Inherited ones count: an option that a class gives is read like any other.
  for (const name in given)
    if (!Object.hasOwn(schema.fields, name)) problems.push(unknown(schema, below(path, name), name));
  return problems;
}

function wrong(path: string, expected: string, found: unknown): OptionProblem {
  return { path, message: `${path}: ${expected}, got ${shown(found)}` };
}

function unknown({ fields }: ObjectSchema, path: string, name: string): OptionProblem {
  const known = Object.keys(fields);
  const hint = didYouMean(name, known) || `; known are ${known.join(", ")}`;
  return { path, message: `${path}: unknown option${hint}` };
}

function below(path: string, name: string | number): string {
  return path === "" ? String(name) : `${path}.${name}`;
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
