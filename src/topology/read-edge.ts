import { Fields, shown } from "./fields.ts";
import { isTwoSided, parseNotation, patternOf, wrongName } from "./notation.ts";
import { isRecord } from "./plain-json.ts";
import type { ProblemList } from "./problems.ts";
import { defined, type Draft } from "./read-node.ts";
import { suggest } from "./suggestion.ts";
import type { EdgeData, EdgePattern, EdgeType } from "./types.ts";

export type EdgeDraft = Draft<EdgeData>;

const TYPES: readonly EdgeType[] = ["invoke", "query", "notify", "stream"];
const LIFTED = ["condition", "maxTurns"];
const RENAMED = {
  source: "from",
  target: "to",
  edge_type: "type",
  max_visits: "maxVisits",
  max_turns: "maxTurns",
  timeout: "timeoutMs",
};

/** The drafts of one item of `edges`: a chain in a string gives several. */
export function readEdges(item: unknown, path: string, problems: ProblemList): EdgeDraft[] {
  if (typeof item === "string") return fromNotation(item, path, problems);
  if (Array.isArray(item)) return fromTuple(item, path, problems);
  if (isRecord(item)) return one(fromFields(item, path, problems));
  problems.error("bad_edge", path, `expected "A -> B", ["A", "B"], an object or Edge(…), got ${shown(item)}`);
  return [];
}

function fromNotation(text: string, path: string, problems: ProblemList): EdgeDraft[] {
  const notation = parseNotation(text);
  if (notation.ok) return notation.edges.map((edge) => ({ ...edge, type: "invoke" }));
  problems.error("bad_arrow", path, notation.message, notation.hint);
  return [];
}

// ["A", "B"], ["A", "B", "<->"], ["A", "B", { condition: "x" }]
function fromTuple(tuple: readonly unknown[], path: string, problems: ProblemList): EdgeDraft[] {
  const [from, to, third] = tuple;
  const options = typeof third === "string" ? { pattern: third } : (third ?? {});
  if (tuple.length < 2 || tuple.length > 3 || !isRecord(options)) {
    problems.error(
      "bad_edge",
      path,
      `expected ["A", "B"], ["A", "B", "<->"] or ["A", "B", { …options }], got ${shown(tuple)}`,
    );
    return [];
  }
  return one(fromFields({ ...options, from, to }, path, problems));
}

function fromFields(
  record: Readonly<Record<string, unknown>>,
  path: string,
  problems: ProblemList,
): EdgeDraft | undefined {
  const fields = new Fields(record, path, problems);
  const from = endOf(fields, "from", problems);
  const to = endOf(fields, "to", problems);
  const pattern = readPattern(fields, problems);
  const metadata = isRecord(fields.raw("metadata"))
    ? (fields.raw("metadata") as Readonly<Record<string, unknown>>)
    : {};
  const inside = new Fields(metadata, fields.at("metadata"), problems);
  const options = {
    on: fields.oneOf("on", ["error"]),
    recovery: fields.boolean("recovery"),
    condition: once("condition", fields.string("condition"), inside.string("condition"), path, problems),
    else: fields.boolean("else"),
    maxVisits: fields.count("maxVisits", 0),
    maxTurns: once("maxTurns", fields.count("maxTurns", 1), inside.count("maxTurns", 1), path, problems),
    timeoutMs: fields.durationMs("timeoutMs"),
    back: fields.boolean("back"),
    metadata: fields.metadata(LIFTED),
  };
  const type = fields.oneOf("type", TYPES) ?? "invoke";
  fields.refuseOthers(RENAMED);
  if (from === undefined || to === undefined) return undefined;
  const edge: EdgeDraft = { from, to, pattern, type, ...defined(options) };
  checkCombination(edge, path, problems);
  return edge;
}

function endOf(fields: Fields, key: "from" | "to", problems: ProblemList): string | undefined {
  const name = fields.string(key);
  if (name === undefined) {
    if (!fields.has(key)) problems.error("bad_edge", fields.at(key), `an edge needs "${key}"`);
    return undefined;
  }
  const wrong = wrongName(name);
  if (wrong === undefined) return name;
  problems.error("bad_name", fields.at(key), wrong);
  return undefined;
}

function readPattern(fields: Fields, problems: ProblemList): EdgePattern {
  const raw = fields.raw("pattern");
  if (raw === undefined) return "flow";
  const pattern = typeof raw === "string" ? patternOf(raw) : undefined;
  if (pattern !== undefined) return pattern;
  const names = ["flow", "call", "reflexive", "conversation", "peers"];
  const hint = typeof raw === "string" ? suggest(raw, names) : undefined;
  problems.error(
    "bad_value",
    fields.at("pattern"),
    `pattern: expected ${names.join(", ")} or an arrow, got ${shown(raw)}`,
    hint,
  );
  return "flow";
}

/** An option that may stand in the edge or in its metadata, but not differently in both. */
function once<T>(
  key: string,
  direct: T | undefined,
  inMetadata: T | undefined,
  path: string,
  problems: ProblemList,
): T | undefined {
  if (direct !== undefined && inMetadata !== undefined && direct !== inMetadata) {
    problems.error(
      "conflicting_options",
      `${path}.metadata.${key}`,
      `${key} is ${shown(direct)} on the edge and ${shown(inMetadata)} in its metadata`,
    );
  }
  return direct ?? inMetadata;
}

function checkCombination(edge: EdgeDraft, path: string, problems: ProblemList): void {
  const refuse = (message: string, hint?: string): void => problems.error("conflicting_options", path, message, hint);
  if (isTwoSided(edge.pattern) && edge.type !== "invoke") {
    refuse(`type "${edge.type}" goes with "->", not with pattern "${edge.pattern}"`);
  }
  if (edge.on === "error" && (isTwoSided(edge.pattern) || edge.type !== "invoke")) {
    refuse('an error edge is written "->" and of type "invoke"');
  }
  if (edge.recovery === true && (isTwoSided(edge.pattern) || edge.type !== "invoke")) {
    refuse('a recovery edge is written "->" and of type "invoke"');
  }
  if (edge.maxTurns !== undefined && edge.pattern !== "conversation") {
    refuse("maxTurns belongs to a conversation", 'write the edge as "A <~> B"');
  }
  if (edge.else === true && edge.condition !== undefined) {
    refuse("an edge has a condition or is the else edge, not both");
  }
  if (edge.else === true && edge.pattern !== "flow") {
    refuse(`else belongs to "->" edges, not to pattern "${edge.pattern}"`);
  }
  if (edge.pattern === "peers" && edge.condition !== undefined) {
    refuse("no plain value passes between peers, so a condition there is never judged");
  }
}

function one(edge: EdgeDraft | undefined): EdgeDraft[] {
  return edge === undefined ? [] : [edge];
}
