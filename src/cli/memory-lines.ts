// What a person is shown of a memory: its entries, with where they come from, and what it holds.

import type { MemoryContents, MemoryEntry, MemoryScope, MemorySearchResult, MemoryStats } from "../memory/index.ts";
import { byteCount } from "./byte-count.ts";
import { fit } from "./style.ts";

const VALUE_COLUMNS_MAX = 300;

/** Found at this place, counted from 1. */
export function foundLines(found: MemorySearchResult, place: number): string {
  const { score, similarity, key, namespace, tags, scope, id } = found;
  const head = `${place}  ${score.toFixed(3)}`;
  const lines = [
    `${shownValue(found)}`,
    joined([key, `in ${scopeText(scope)}`, `namespace ${namespace}`, tags.length > 0 && `tags ${tags.join(", ")}`]),
    joined([originText(found), `similarity ${similarity.toFixed(3)}`]),
    `id ${id}`,
  ];
  return lines.map((line, i) => `${i === 0 ? head : " ".repeat(head.length)}  ${clean(line)}`).join("\n");
}

/** One line. */
export function entryLine(entry: MemoryEntry): string {
  const { id, scope, namespace, key } = entry;
  return [id, scopeText(scope), namespace, key, shownValue(entry)].map(clean).join("  ");
}

export function statsLines(
  { entries, bytes, embedder, dimensions, hnsw }: MemoryStats,
  contents: readonly MemoryContents[],
): string {
  const rows = [
    ["entries", String(entries)],
    ["on disk", byteCount(bytes)],
    ["embedder", embedder === null ? "none yet: the first entry pins it" : `${embedder} (${dimensions} dimensions)`],
    ...(hnsw === false ? [["search", "exact: hnswlib-node does not load"]] : []),
    ...contents.map(({ scope, namespaces }) => [
      scopeText(scope),
      namespaces.map(({ namespace, entries: count }) => `${count} in ${namespace}`).join(", "),
    ]),
  ];
  const width = Math.max(...rows.map(([name = ""]) => name.length));
  return rows.map(([name = "", value = ""]) => clean(`${name.padEnd(width)}  ${value}`)).join("\n");
}

export function scopeText(scope: MemoryScope): string {
  if (scope === "global") return scope;
  if ("runId" in scope) return `run ${scope.runId}`;
  return "project" in scope ? `project ${scope.project}` : `session ${scope.sessionId}`;
}

const SOURCES = [
  ["project", "project"],
  ["runId", "run"],
  ["cardId", "card"],
  ["agent", "agent"],
  ["sessionId", "session"],
] as const;

function originText({ origin, createdAtMs, expiresAtMs, quality, provenance }: MemoryEntry): string {
  const from = SOURCES.flatMap(([field, name]) =>
    typeof provenance[field] === "string" ? [`${name} ${provenance[field]}`] : [],
  );
  return joined([
    `${origin} ${new Date(createdAtMs).toISOString()}`,
    expiresAtMs !== null && `until ${new Date(expiresAtMs).toISOString()}`,
    quality !== null && `quality ${quality}`,
    from.length > 0 && `from ${from.join(", ")}`,
  ]);
}

function shownValue({ value }: MemoryEntry): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
}

function joined(parts: readonly (string | false)[]): string {
  return parts.filter((part) => part !== false).join(" · ");
}

/** On one line, without what would steer a terminal. */
function clean(text: string): string {
  return fit(text, VALUE_COLUMNS_MAX);
}
