// Plan
//
// The compiled form of a topology: nodes and edges by number, each edge with the one part it plays,
// and the static answers that routing and barriers ask for. A pure function of the topology data,
// so a replay compiles the same plan from the log.
//
// An *end* is where branches can be joined: node `n` (number n) or the return point H↩ of a loop
// head `h` (number nodeCount + h); architecture, 5.4.

import type { ConvergencePolicy, EdgeData, NodeData, TopologyData } from "./types.ts";

/**
 * flow: control moves (invoke and stream). exit: delivers. call: `from` calls `to` (call, reflexive, query).
 * conversation, peers, notify, error as in 5.1. recovery: nobody moves; a person says what to do about a failure. The reverse direction of a two-sided edge is found by `to`.
 */
export type EdgeRole = "flow" | "exit" | "call" | "conversation" | "peers" | "notify" | "error" | "recovery";

export interface PlanEdge {
  readonly id: number;
  readonly from: number;
  /** -1 for the implicit exit edge of an exit point. */
  readonly to: number;
  readonly role: EdgeRole;
  /** none: forward. natural: the target dominates the source. marked: `back: true` on an edge of which that is not so. */
  readonly back: "none" | "natural" | "marked";
  readonly conditional: boolean;
  readonly isElse: boolean;
  readonly maxVisits: number | false;
  readonly maxTurns: number;
  readonly data: EdgeData;
}

/** Edge numbers by part, in declared order. */
export interface NodeEdges {
  readonly flow: readonly number[];
  readonly exit: readonly number[];
  /** Calls this node makes with a plain value: it is the left side or a query source. */
  readonly call: readonly number[];
  /** Two-sided call edges of which this node is the right side: it may call back by command. */
  readonly callBack: readonly number[];
  /** Conversations this node opens. */
  readonly conversation: readonly number[];
  readonly peers: readonly number[];
  readonly notify: readonly number[];
  readonly error: readonly number[];
  readonly recovery: readonly number[];
}

export interface PlanNode {
  readonly id: number;
  readonly name: string;
  readonly data: NodeData;
  /** step: an agent, tool or system function runs here. ask: a person is asked. pass: the entry `User` or `Start`. exit: `End` or an exit `User`; no branch stands here. */
  readonly act: "step" | "ask" | "pass" | "exit";
  readonly out: NodeEdges;
  /** Some fork statically owns this node, so its input is always the list of arrivals. */
  readonly rendezvous: boolean;
  /** The same for its return point. */
  readonly returnRendezvous: boolean;
  readonly policy: ConvergencePolicy | undefined;
}

export interface Plan {
  readonly topology: TopologyData;
  readonly nodes: readonly PlanNode[];
  readonly edges: readonly PlanEdge[];
  readonly nodeByName: ReadonlyMap<string, number>;
  readonly entry: number;
  /** Some node decides by a quorum of its own. */
  readonly hasQuorum: boolean;
  /** Is `end` a return point H↩? */
  isReturn(end: number): boolean;
  /** The node an end belongs to. */
  nodeOf(end: number): number;
  returnOf(node: number): number;
  /** Does a plain fork at `fork` own `end`: do two forward paths to it share only their ends? */
  owns(fork: number, end: number): boolean;
  /** The same for the elements of a parallel command at `fork`; `targets` holds one node per element. */
  ownsParallel(fork: number, targets: readonly number[], end: number): boolean;
  /** Can a branch standing at `from` (an end) still arrive at `end`, over forward edges and natural back edges that stay in an instance of `fork`? */
  reaches(fork: number, from: number, end: number): boolean;
  /** Does a back edge to `head` leave an instance forked at `fork`? */
  leaves(head: number, fork: number): boolean;
  /** Does a forward path (of at least one edge) lead from end `a` to end `b`? */
  before(a: number, b: number): boolean;
  /** Place of an end in one order in which every forward path rises. */
  rank(end: number): number;
  /** Does every forward path from `from` lead to `end`, with no chance to end or to cross a back edge first? */
  mustReach(from: number, end: number): boolean;
  /** Can a branch at `from` become several by a fork before it reaches `end`, over forward edges and, with `fork`, natural back edges that stay in an instance of it? */
  mayFork(from: number, end: number, fork?: number): boolean;
}
