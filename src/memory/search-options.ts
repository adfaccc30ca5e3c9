// What may be asked of a search, checked.

import { OrchestraError } from "../base/errors.ts";
import { assertOptions, check, countFrom0, object, required } from "../runtime/option-schema.ts";
import type { MemorySearchOptions } from "./ports.ts";
import { isScope, parseScope } from "./scopes.ts";
import type { ShelfQuery } from "./search-shelf.ts";

const TOP_K = 10;
const MODES: readonly unknown[] = ["hybrid", "vector", "words"];

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === "string");
const searchSchema = object({
  scope: required(isScope, '"global" or one of { runId }, { sessionId } and { project }'),
  topK: countFrom0,
  namespace: check((value) => typeof value === "string" || isTexts(value), "a namespace or several"),
  tags: check(isTexts, "an array of texts"),
  minQuality: check((value) => Number.isFinite(value), "a finite number"),
  mode: check((value) => MODES.includes(value), '"hybrid", "vector" or "words"'),
  diversity: check((value) => typeof value === "number" && value >= 0 && value <= 1, "a number from 0 to 1"),
  signal: check((value) => value instanceof AbortSignal, "an AbortSignal"),
});

export type ParsedSearch = Omit<ShelfQuery, "vector"> & Pick<MemorySearchOptions, "scope">;

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function parseSearch(query: unknown, options: MemorySearchOptions): ParsedSearch {
  if (typeof query !== "string")
    throw new OrchestraError("ORCH_BAD_OPTION", `query: expected a text, got ${typeof query}`);
  assertOptions(searchSchema, options, "search");
  const { scope, topK = TOP_K, namespace, tags = [], minQuality, mode = "hybrid", diversity = 0, signal } = options;
  return {
    text: query,
    scope: parseScope(scope),
    topK,
    mode,
    diversity,
    filter: {
      namespaces: namespace === undefined ? null : new Set([namespace].flat()),
      tags,
      minQuality: minQuality ?? null,
    },
    signal,
  };
}
