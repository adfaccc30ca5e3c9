// Reading
//
// Turns every form a user may declare a topology in into plain data, collecting problems on the way.
//
// R1  Reading never throws: what cannot be read is a problem, and is left out of the data.
// R2  Nodes are read before edges, edges before rules: each may refer only to what is there.
// R3  Data of our own (`v: 1`) holds the effect of its rules already; they are kept and not applied again.

import { addAllowedPeers, type PeerDeclaration } from "./allowed-peers.ts";
import { TopologyDraft } from "./draft.ts";
import { Fields, shown } from "./fields.ts";
import { findNotPlain, frozenCopy, isRecord } from "./plain-json.ts";
import { ProblemList, type ReadTopology } from "./problems.ts";
import { readEdges } from "./read-edge.ts";
import { defined, kindOfName, readAgent, readNode } from "./read-node.ts";
import { applyRules } from "./rules.ts";
import { isTopologySource, READ, type TopologySource } from "./source.ts";
import type { EdgeOptions, EdgeValue, NodeValue } from "./edge.ts";
import type { Arrow } from "./notation.ts";
import type { RuleValue } from "./rules.ts";
import type { EdgePattern, TopologyData, TopologyLimits } from "./types.ts";

/** An agent as a topology knows it: a name, and whom it may address. */
export interface PeerAgent {
  readonly name: string;
  readonly allowedPeers?: readonly string[];
}

export type NodeInput = string | NodeValue | PeerAgent;
export type EdgeInput =
  | string
  | readonly [from: string, to: string]
  | readonly [from: string, to: string, options: EdgeOptions | EdgePattern | Arrow]
  | EdgeValue;

/** A topology written out. `agents` and `flows` are other names of `nodes` and `edges`. */
export interface TopologyDescription {
  /** May be left out when every node occurs in an edge. */
  readonly nodes?: readonly NodeInput[] | Readonly<Record<string, unknown>>;
  readonly agents?: readonly NodeInput[] | Readonly<Record<string, unknown>>;
  readonly edges?: readonly EdgeInput[];
  readonly flows?: readonly EdgeInput[];
  readonly entryPoint?: string;
  readonly exitPoints?: readonly string[];
  readonly limits?: TopologyLimits;
  readonly rules?: readonly (string | RuleValue)[];
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export type TopologyInput = TopologyDescription | TopologyData | TopologySource | readonly PeerAgent[];

const RENAMED = { entry_point: "entryPoint", exit_points: "exitPoints", vertices: "nodes", links: "edges" };

/** Reads any {@link TopologyInput}. Never throws; `data` holds what could be read even when there are errors. */
export function readTopology(input: unknown): ReadTopology {
  if (isTopologySource(input)) return input[READ]();
  const problems = new ProblemList();
  const draft = new TopologyDraft(problems);
  if (Array.isArray(input)) return finish(draft, readDescription({ agents: input }, draft));
  if (isRecord(input)) return finish(draft, readDescription(input, draft));
  problems.error(
    "bad_topology",
    "",
    `expected an object with nodes and edges, a Topology or a PatternConfig, got ${shown(input)}`,
  );
  return finish(draft, {});
}

/** What a description says beside its nodes and edges, which are in the draft. */
type Rest = Pick<TopologyData, "entryPoint" | "exitPoints" | "rules" | "metadata">;

function finish(draft: TopologyDraft, rest: Rest): ReadTopology {
  const { problems, nodePaths, edgePaths } = draft;
  if (draft.nodes.length === 0 && problems.items.length === 0) {
    problems.error("empty_topology", "", "a topology needs at least one node");
  }
  const limits = Object.keys(draft.limits).length === 0 ? {} : { limits: draft.limits };
  const data: TopologyData = { v: 1, nodes: draft.nodes, edges: draft.edges, ...limits, ...rest };
  return { data: frozenCopy(data), problems: problems.items, nodePaths, edgePaths };
}

function readDescription(source: Readonly<Record<string, unknown>>, draft: TopologyDraft): Rest {
  const { problems } = draft;
  const fields = new Fields(source, "", problems);
  const v = fields.raw("v");
  if (v !== undefined && v !== 1) problems.error("bad_value", "v", `v: expected 1, got ${shown(v)}`);

  const nodesKey = oneName(fields, "nodes", "agents", problems);
  const edgesKey = oneName(fields, "edges", "flows", problems);
  const edges = (fields.array(edgesKey) ?? []).flatMap((item, i) => {
    const path = `${edgesKey}[${i}]`;
    return readEdges(item, path, problems).map((edge) => ({ edge, path }));
  });
  const peers = readNodes(fields, nodesKey, draft);
  if (!fields.has(nodesKey)) addImpliedNodes(edges, draft);
  for (const { edge, path } of edges) draft.addEdge(edge, path);
  const firstPeer = addAllowedPeers(peers, draft);

  const exitPoints = readExitPoints(fields, draft);
  const entryPoint = readEntryPoint(fields, draft) ?? firstPeer;
  readLimits(fields, draft);
  const rules = readRules(fields, draft, v === 1);
  const rest = { entryPoint, exitPoints, rules, metadata: fields.metadata() };
  fields.refuseOthers(RENAMED);
  return defined(rest);
}

function oneName(fields: Fields, name: string, other: string, problems: ProblemList): string {
  if (!fields.has(other)) return name;
  if (fields.has(name))
    problems.error("conflicting_options", other, `"${name}" and "${other}" are two names of one thing; give one`);
  return fields.has(name) ? name : other;
}

function readNodes(fields: Fields, key: string, draft: TopologyDraft): PeerDeclaration[] {
  const raw = fields.raw(key);
  const byName = isRecord(raw);
  const items: readonly (readonly [string, unknown])[] = byName
    ? Object.entries(raw).map(([name, agent]) => [name, agent] as const)
    : (fields.array(key) ?? []).map((item, i) => [String(i), item] as const);
  return items.flatMap(([place, item]) => {
    const path = byName ? `${key}.${place}` : `${key}[${place}]`;
    const read = byName ? readAgent(item, place, path, draft.problems) : readNode(item, path, draft.problems);
    if (read === undefined) return [];
    draft.addNode(read.draft, path);
    return read.allowedPeers === undefined
      ? []
      : [{ name: read.draft.name, peers: read.allowedPeers, path: `${path}.allowedPeers` }];
  });
}

function addImpliedNodes(
  edges: readonly { edge: { from: string; to: string }; path: string }[],
  draft: TopologyDraft,
): void {
  for (const { edge, path } of edges) {
    for (const name of [edge.from, edge.to]) {
      if (draft.find(name) === undefined) draft.addNode({ name, kind: kindOfName(name) }, path);
    }
  }
}

function readEntryPoint(fields: Fields, draft: TopologyDraft): string | undefined {
  const name = fields.string("entryPoint");
  return name === undefined ? undefined : draft.known(name, "entryPoint")?.name;
}

function readExitPoints(fields: Fields, draft: TopologyDraft): string[] | undefined {
  const items = fields.array("exitPoints");
  if (items === undefined) return undefined;
  const names = items.flatMap((item, i) => {
    if (typeof item === "string") return draft.known(item, `exitPoints[${i}]`)?.name ?? [];
    draft.problems.error("bad_value", `exitPoints[${i}]`, `expected the name of a node, got ${shown(item)}`);
    return [];
  });
  return names.length === 0 ? undefined : [...new Set(names)];
}

function readLimits(fields: Fields, draft: TopologyDraft): void {
  const record = fields.record("limits");
  if (record === undefined) return;
  const limits = new Fields(record, "limits", draft.problems);
  Object.assign(
    draft.limits,
    defined({
      maxSteps: limits.count("maxSteps", 1),
      durationMs: limits.durationMs("durationMs"),
      maxAgents: limits.count("maxAgents", 1),
      agentTimeoutMs: limits.durationMs("agentTimeoutMs"),
    }),
  );
  limits.refuseOthers();
}

function readRules(fields: Fields, draft: TopologyDraft, applied: boolean): readonly unknown[] | undefined {
  const rules = fields.array("rules");
  if (rules === undefined || rules.length === 0) return undefined;
  if (!applied) applyRules(rules, draft);
  return findNotPlain(rules, "rules") === undefined ? rules : undefined;
}
