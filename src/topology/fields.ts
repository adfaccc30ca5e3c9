// Fields
//
// Reads the properties of one object a user wrote: each wrong value becomes a problem at its own
// path and counts as absent, and each property nobody asked for is reported once all were asked for.

import { findNotPlain, frozenCopy, isRecord } from "./plain-json.ts";
import type { ProblemList } from "./problems.ts";
import { suggest } from "./suggestion.ts";

/** Longest duration taken: a hundred years. Beyond it lies a slip of units. */
const DURATION_MS_MAX = 3_155_760_000_000;

export class Fields {
  readonly #source: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #problems: ProblemList;
  readonly #known = new Set<string>();

  constructor(source: Readonly<Record<string, unknown>>, path: string, problems: ProblemList) {
    this.#source = source;
    this.#path = path;
    this.#problems = problems;
  }

  at(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  /** The value as it stands; undefined also when only inherited. */
  raw(key: string): unknown {
    this.#known.add(key);
    return Object.hasOwn(this.#source, key) ? this.#source[key] : undefined;
  }

  has(key: string): boolean {
    return this.raw(key) !== undefined;
  }

  string(key: string): string | undefined {
    return this.#read(key, "a non-empty string", (value) => typeof value === "string" && value.trim() !== "") as
      | string
      | undefined;
  }

  boolean(key: string): boolean | undefined {
    return this.#read(key, "true or false", (value) => typeof value === "boolean") as boolean | undefined;
  }

  oneOf<T extends string>(key: string, allowed: readonly T[]): T | undefined {
    const expected = allowed.map((item) => JSON.stringify(item)).join(" or ");
    return this.#read(key, expected, (value) => (allowed as readonly unknown[]).includes(value), allowed) as
      | T
      | undefined;
  }

  /** A whole number of at least `least`. */
  count(key: string, least: number): number | undefined {
    const fits = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= least;
    return this.#read(key, `a whole number of at least ${least}`, fits) as number | undefined;
  }

  ratio(key: string): number | undefined {
    const fits = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= 1;
    return this.#read(key, "a number from 0 to 1", fits) as number | undefined;
  }

  durationMs(key: string): number | undefined {
    return this.#read(key, "milliseconds above 0", isDurationMs) as number | undefined;
  }

  durationMsOrFalse(key: string): number | false | undefined {
    const fits = (value: unknown): boolean => value === false || isDurationMs(value);
    return this.#read(key, "milliseconds above 0, or false for no limit", fits) as number | false | undefined;
  }

  record(key: string): Readonly<Record<string, unknown>> | undefined {
    return this.#read(key, "an object", isRecord) as Readonly<Record<string, unknown>> | undefined;
  }

  array(key: string): readonly unknown[] | undefined {
    return this.#read(key, "a list", Array.isArray) as readonly unknown[] | undefined;
  }

  /** A record of plain JSON, copied, without the keys of `lifted`; undefined when nothing is left. */
  metadata(lifted: readonly string[] = []): Readonly<Record<string, unknown>> | undefined {
    const record = this.record("metadata");
    if (record === undefined) return undefined;
    const rest = Object.fromEntries(
      Object.entries(record).filter(([key, value]) => !lifted.includes(key) && value !== undefined),
    );
    const wrong = findNotPlain(rest, this.at("metadata"));
    if (wrong !== undefined) {
      this.#problems.error(
        "bad_metadata",
        wrong.path,
        `expected plain JSON, got ${wrong.found}`,
        "a topology is stored; keep code out of it",
      );
      return undefined;
    }
    return Object.keys(rest).length === 0 ? undefined : frozenCopy(rest);
  }

  /** Reports the properties that were never asked for. */
  refuseOthers(hints: Readonly<Record<string, string>> = {}): void {
    for (const key of Object.keys(this.#source)) {
      if (this.#known.has(key) || this.#source[key] === undefined) continue;
      const renamed = Object.hasOwn(hints, key) ? hints[key] : undefined;
      const hint = renamed === undefined ? suggest(key, this.#known) : `did you mean ${JSON.stringify(renamed)}?`;
      this.#problems.error(
        "unknown_key",
        this.at(key),
        `unknown key ${JSON.stringify(key)}`,
        hint ?? `known: ${[...this.#known].join(", ")}`,
      );
    }
  }

  #read(key: string, expected: string, fits: (value: unknown) => boolean, allowed: readonly string[] = []): unknown {
    const value = this.raw(key);
    if (value === undefined || fits(value)) return value;
    const hint = typeof value === "string" ? suggest(value, allowed) : undefined;
    this.#problems.error("bad_value", this.at(key), `${key}: expected ${expected}, got ${shown(value)}`, hint);
    return undefined;
  }
}

function isDurationMs(value: unknown): boolean {
  return typeof value === "number" && value > 0 && value <= DURATION_MS_MAX;
}

/** A value as a message shows it: short, and never throwing. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "object") return `an object with ${Object.keys(value).slice(0, 5).join(", ") || "no keys"}`;
  return `a ${typeof value}`;
}
