// Pattern shapes
//
// Nodes and edges of each pattern, from options that are known to be well formed.

import type { EdgeValue, NodeValue } from "./edge.ts";
import { kindOfName } from "./read-node.ts";
import type { RuleValue } from "./rules.ts";

/** What every pattern takes. */
export interface PatternOptions {
  /** Default: the pattern's first agent. */
  readonly entryPoint?: string;
  /** Adds `User` as entry and exit: the task comes from a person, the response goes to one. */
  readonly user?: boolean;
  /** Time limit of the whole run, in milliseconds. */
  readonly timeoutMs?: number;
  readonly rules?: readonly (string | RuleValue)[];
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface PipelineOptions extends PatternOptions {
  readonly stages: readonly { readonly name?: string; readonly agents: readonly string[] }[];
  /** The members of a stage run side by side instead of one after another. Default false. */
  readonly parallelWithinStage?: boolean;
}

export interface HubAndSpokeOptions extends PatternOptions {
  readonly hub: string;
  readonly spokes: readonly string[];
  /** All spokes are called at once instead of in order. Default false. */
  readonly parallelSpokes?: boolean;
}

/** Who calls whom, written out or dealt: level k + 1 is dealt round-robin to level k, the root being level 0. */
export type HierarchicalOptions = PatternOptions &
  (
    | { readonly tree: Readonly<Record<string, readonly string[]>>; readonly root?: never; readonly levels?: never }
    | { readonly root: string; readonly levels: readonly (readonly string[])[]; readonly tree?: never }
  );

/** Everyone named in the options, in the order of naming. A child named by two parents is there twice. */
export function namesInTree(tree: Readonly<Record<string, readonly string[]>>): string[] {
  const children = Object.values(tree).flat();
  return [...Object.keys(tree).filter((name) => !children.includes(name)), ...children];
}

export interface MeshOptions extends PatternOptions {
  readonly agents: readonly string[];
  /** Default true: every agent may address every other. False: each its neighbours in the list. */
  readonly fullyConnected?: boolean;
}

export interface StarOptions extends PatternOptions {
  readonly center: string;
  readonly points: readonly string[];
  /** Default true: the center calls the points, all at once. False: control moves on to them. */
  readonly bidirectional?: boolean;
}

export interface RingOptions extends PatternOptions {
  readonly agents: readonly string[];
  /** Each may also address the one before it, by command. Default false. */
  readonly bidirectional?: boolean;
  /** Times round the ring. Default 1. */
  readonly laps?: number;
}

export interface BroadcastOptions extends PatternOptions {
  readonly broadcaster: string;
  readonly receivers: readonly string[];
  /** The receivers are called and their replies come back. Default false: the response is the list of what they give. */
  readonly allowReplies?: boolean;
}

export interface Shape {
  readonly nodes: readonly (string | NodeValue)[];
  readonly edges: readonly EdgeValue[];
  /** Where a run begins, unless the options say otherwise. A list: all of them, side by side. */
  readonly entry: readonly string[];
  /** Whose plain value can be the response: with a `User`, these lead to it. */
  readonly exits: readonly string[];
  /** The exits have flow edges too, and need to be told that they are exits. */
  readonly exitsMoveOn?: boolean;
}

export function pipeline(options: PipelineOptions): Shape {
  const stages = options.stages.map((stage) => stage.agents).filter((agents) => agents.length > 0);
  const nodes = [...new Set(stages.flat())];
  if (options.parallelWithinStage !== true)
    return { nodes, edges: chain(stages.flat()), entry: nodes.slice(0, 1), exits: stages.flat().slice(-1) };
  const edges = stages.slice(1).flatMap((to, i) => (stages[i] ?? []).flatMap((a) => to.map((b) => flow(a, b))));
  return { nodes, edges, entry: stages[0] ?? [], exits: stages.at(-1) ?? [] };
}

export function hubAndSpoke({ hub, spokes, parallelSpokes = false }: HubAndSpokeOptions): Shape {
  return callingAll(hub, spokes, parallelSpokes);
}

export function star({ center, points, bidirectional = true }: StarOptions): Shape {
  if (bidirectional) return callingAll(center, points, true);
  return movingToAll(center, points);
}

export function broadcast({ broadcaster, receivers, allowReplies = false }: BroadcastOptions): Shape {
  if (allowReplies) return callingAll(broadcaster, receivers, true);
  return movingToAll(broadcaster, receivers);
}

export function hierarchical(options: HierarchicalOptions): Shape {
  const tree = options.tree === undefined ? dealt(options.root, options.levels) : Object.entries(options.tree);
  const children = new Set(tree.flatMap(([, below]) => below));
  const names = [...new Set(tree.flatMap(([above, below]) => [above, ...below]))];
  const callers = new Set(tree.filter(([, below]) => below.length > 0).map(([above]) => above));
  const top = names.filter((name) => !children.has(name)).slice(0, 1);
  return {
    nodes: names.map((name) => (callers.has(name) ? { name, parallelCalls: true } : name)),
    edges: tree.flatMap(([above, below]) => below.map((to) => call(above, to))),
    entry: top,
    exits: top,
  };
}

// Level k + 1 is dealt round-robin to level k.
function dealt(root: string, levels: readonly (readonly string[])[]): [string, string[]][] {
  const rows = [[root], ...levels.filter((level) => level.length > 0)];
  return rows.flatMap((row, k) =>
    row.map((above, i): [string, string[]] => [above, (rows[k + 1] ?? []).filter((_, j) => j % row.length === i)]),
  );
}

export function mesh({ agents, fullyConnected = true }: MeshOptions): Shape {
  const edges = agents.flatMap((from, i) =>
    agents.slice(i + 1, fullyConnected ? undefined : i + 2).map((to) => ({ from, to, pattern: "peers" as const })),
  );
  const people = agents.filter((name) => kindOfName(name) !== "agent");
  const exits = agents.filter((name) => !people.includes(name));
  return { nodes: agents, edges, entry: exits.slice(0, 1), exits };
}

/** Declared from the entry round to it, so that the edge that closes the ring is the one that counts the laps. */
export function ring({ agents, bidirectional = false, laps = 1, entryPoint }: RingOptions): Shape {
  const start = Math.max(0, agents.indexOf(entryPoint ?? ""));
  const order = [...agents.slice(start), ...agents.slice(0, start)];
  const [first = "", last = ""] = [order[0], order.at(-1)];
  // With two agents, or one, the neighbours before and behind are the same or none.
  const backwards =
    bidirectional && order.length > 1
      ? order.map((to, i) => ({ from: order[(i + 1) % order.length] ?? "", to, pattern: "peers" as const }))
      : [];
  return {
    nodes: agents,
    edges: [
      ...chain(order),
      { from: last, to: first, maxVisits: laps - 1 },
      ...(order.length === 2 ? backwards.slice(0, 1) : backwards),
    ],
    entry: [first],
    exits: [last],
    exitsMoveOn: true,
  };
}

function callingAll(caller: string, callees: readonly string[], parallelCalls: boolean): Shape {
  return {
    nodes: [parallelCalls ? { name: caller, parallelCalls } : caller, ...callees],
    edges: callees.map((callee) => call(caller, callee)),
    entry: [caller],
    exits: [caller],
  };
}

function movingToAll(source: string, targets: readonly string[]): Shape {
  return { nodes: [source, ...targets], edges: targets.map((to) => flow(source, to)), entry: [source], exits: targets };
}

function chain(names: readonly string[]): EdgeValue[] {
  return names.slice(1).map((to, i) => flow(names[i] ?? "", to));
}

function flow(from: string, to: string): EdgeValue {
  return { from, to };
}

function call(from: string, to: string): EdgeValue {
  return { from, to, pattern: "call" };
}
