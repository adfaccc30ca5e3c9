// Parting: in what two commits differ, for whoever compares two histories.

import { isDeepStrictEqual } from "node:util";
import type { Fact } from "../actors/facts.ts";
import { toJsonValue } from "./result-json.ts";

const SHOWN_LENGTH_MAX = 120;

/** A fact without what differs between two runs of the same story. */
export function comparable(fact: Fact): unknown {
  const { runId: _runId, tookMs: _tookMs, ...rest } = { runId: "", tookMs: 0, ...fact };
  return rest;
}

/** What the two say at the first place where they differ; undefined for one that has no further commit. */
export function partingOf(a: readonly Fact[] | undefined, b: readonly Fact[] | undefined): { a: string; b: string } {
  if (a === undefined || b === undefined) return { a: summaryOf(a), b: summaryOf(b) };
  const at = a.findIndex((fact, i) => !isDeepStrictEqual(comparable(fact), b[i] && comparable(b[i])));
  const [left, right] = [a[at], b[at === -1 ? a.length : at]];
  if (left === undefined || right === undefined || left.type !== right.type)
    return { a: nameOf(left), b: nameOf(right) };
  const path = firstDifference(comparable(left), comparable(right));
  const told = (fact: Fact): string =>
    cut(`${nameOf(fact)}: ${path.join(".")}: ${shown(valueAt(comparable(fact), path))}`);
  return { a: told(left), b: told(right) };
}

function summaryOf(facts: readonly Fact[] | undefined): string {
  return facts === undefined ? "no further commit" : facts.map(nameOf).join(", ");
}

function nameOf(fact: Fact | undefined): string {
  if (fact === undefined) return "nothing more in this commit";
  return "stepId" in fact ? `${fact.type} ${fact.stepId}` : fact.type;
}

function firstDifference(a: unknown, b: unknown): readonly string[] {
  if (!isObject(a) || !isObject(b)) return [];
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
    if (!isDeepStrictEqual(a[key], b[key])) return [key, ...firstDifference(a[key], b[key])];
  return [];
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((found, key) => (isObject(found) ? found[key] : undefined), value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function shown(value: unknown): string {
  return value === undefined ? "absent" : JSON.stringify(toJsonValue(value));
}

function cut(text: string): string {
  return text.length <= SHOWN_LENGTH_MAX ? text : `${text.slice(0, SHOWN_LENGTH_MAX - 1)}…`;
}
