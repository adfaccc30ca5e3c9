// Topology data
//
// What a user declares, after reading and normalising: plain data that is stored inline in the log,
// hashed, and compiled into a plan. Nothing here may hold a function or depend on time.

export type NodeKind = "agent" | "user" | "start" | "end" | "tool" | "system";

/** `->` flow, `<->` call, `<=>` reflexive, `<~>` conversation, `<|>` peers. */
export type EdgePattern = "flow" | "call" | "reflexive" | "conversation" | "peers";
export type EdgeType = "invoke" | "query" | "notify" | "stream";

export interface ConvergencePolicy {
  /** Share of the units that must have arrived for the barrier to fire, 0 to 1. Default 1. */
  readonly minRatio?: number;
  /** Fires as soon as this many have arrived. Rendezvous only. */
  readonly quorum?: number;
  /** Default "fail". */
  readonly onInsufficient?: "fail" | "proceed" | "user";
}

/** `fail` with `ORCH_TIMEOUT`, or go on as if this had been the answer. */
export type OnTimeout = "fail" | { readonly answer: unknown };

export interface NodeData {
  readonly name: string;
  readonly kind: NodeKind;
  /** `false`: never joins, each arrival is its own activation. */
  readonly convergence?: boolean;
  readonly merge?: boolean;
  readonly convergencePolicy?: ConvergencePolicy;
  /** `false` switches the timeout off. */
  readonly convergenceTimeoutMs?: number | false;
  /** Calls of this node go out all at once. Default false: one after another. */
  readonly parallelCalls?: boolean;
  readonly role?: string;
  /** "values": a list input holds bare values instead of `{ from, value }`. */
  readonly input?: "arrivals" | "values";
  /** Time limit of one attempt of a step here; of a user node, how long a person has to answer. */
  readonly timeoutMs?: number | false;
  /** User nodes: what follows when nobody answered in time. Default "fail". */
  readonly onTimeout?: OnTimeout;
  /** Name of the registered agent, tool or system function. Default: the node's name. */
  readonly uses?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface EdgeData {
  readonly from: string;
  readonly to: string;
  readonly pattern: EdgePattern;
  readonly type: EdgeType;
  readonly on?: "error";
  /** Leads to a user node: a person says whether what failed is tried again, passed over, or stays failed. */
  readonly recovery?: boolean;
  /** Name of a registered function, a label, or a CEL expression (architecture, 5.3). */
  readonly condition?: string;
  readonly else?: boolean;
  readonly maxVisits?: number;
  /** Conversations only. Default 10. */
  readonly maxTurns?: number;
  /** Time limit of one attempt of a step reached over this edge. */
  readonly timeoutMs?: number;
  /** Marks the back edge of a cycle with several entries. */
  readonly back?: boolean;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Limits that come from rules; `false` or absent means none from here. */
export interface TopologyLimits {
  readonly maxSteps?: number;
  readonly durationMs?: number;
  /** Steps in flight at one time; more wait in line. */
  readonly maxAgents?: number;
  /** Step timeout for nodes without one of their own. */
  readonly agentTimeoutMs?: number;
}

export interface TopologyData {
  readonly v: 1;
  readonly nodes: readonly NodeData[];
  readonly edges: readonly EdgeData[];
  readonly entryPoint?: string;
  readonly exitPoints?: readonly string[];
  readonly limits?: TopologyLimits;
  /** The rules as written, for people; their effect is in nodes, edges and limits. */
  readonly rules?: readonly unknown[];
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export type Severity = "error" | "warning" | "info";

export interface TopologyProblem {
  readonly code: string;
  readonly severity: Severity;
  /** Where, as a path into the input: `edges[3].metadata.condition`. */
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}
