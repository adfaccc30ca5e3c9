// Draft
//
// A topology while it is read: nodes and edges that rules may still change, each with the place it was declared at.

import type { EdgeDraft } from "./read-edge.ts";
import { kindOfName, type Draft, type NodeDraft } from "./read-node.ts";
import type { ProblemList } from "./problems.ts";
import { suggest } from "./suggestion.ts";
import type { TopologyLimits } from "./types.ts";

export class TopologyDraft {
  readonly nodes: NodeDraft[] = [];
  readonly nodePaths: string[] = [];
  readonly edges: EdgeDraft[] = [];
  readonly edgePaths: string[] = [];
  readonly limits: Draft<TopologyLimits> = {};
  readonly problems: ProblemList;
  readonly #byName = new Map<string, NodeDraft>();
  readonly #edgeKeys = new Map<string, string>();

  constructor(problems: ProblemList) {
    this.problems = problems;
  }

  addNode(node: NodeDraft, path: string): void {
    if (this.find(node.name) !== undefined) {
      this.problems.error("duplicate_node", path, `node ${JSON.stringify(node.name)} is declared twice`);
      return;
    }
    this.nodes.push(node);
    this.nodePaths.push(path);
    this.#byName.set(keyOf(node.name), node);
  }

  /** Adds an edge whose ends are known. The same edge twice is refused; edges that differ in their condition are two. */
  addEdge(edge: EdgeDraft, path: string): void {
    const from = this.known(edge.from, path);
    const to = this.known(edge.to, path);
    if (from === undefined || to === undefined) return;
    if (from === to && edge.pattern !== "flow") {
      this.problems.error(
        "self_edge",
        path,
        `${JSON.stringify(from.name)} cannot talk to itself`,
        'a loop is written "A -> A"',
      );
      return;
    }
    const whole: EdgeDraft = { ...edge, from: from.name, to: to.name };
    const key = edgeKey(whole);
    const first = this.#edgeKeys.get(key);
    if (first !== undefined) {
      this.problems.error(
        "duplicate_edge",
        path,
        `the same edge from ${JSON.stringify(from.name)} to ${JSON.stringify(to.name)} is declared at ${first}`,
      );
      return;
    }
    this.#edgeKeys.set(key, path);
    this.edges.push(whole);
    this.edgePaths.push(path);
  }

  /** The node called `name`; `User`, `Start` and `End` are found in any case. */
  find(name: string): NodeDraft | undefined {
    return this.#byName.get(keyOf(name));
  }

  /** The node called `name`. `User`, `Start` and `End` come into being when first named; any other missing name is a problem. */
  known(name: string, path: string): NodeDraft | undefined {
    const found = this.find(name);
    if (found !== undefined) return found;
    if (kindOfName(name) === "agent") {
      const hint =
        suggest(
          name,
          this.nodes.map((node) => node.name),
        ) ?? `add it to "nodes"`;
      this.problems.error("unknown_node", path, `no node is called ${JSON.stringify(name)}`, hint);
      return undefined;
    }
    this.addNode({ name, kind: kindOfName(name) }, path);
    return this.find(name);
  }
}

function keyOf(name: string): string {
  return kindOfName(name) === "agent" ? name : name.toLowerCase();
}

function edgeKey(edge: EdgeDraft): string {
  const ends = edge.pattern === "peers" ? [edge.from, edge.to].sort() : [edge.from, edge.to];
  return JSON.stringify([...ends, edge.pattern, edge.type, edge.on, edge.condition, edge.else, edge.recovery]);
}
