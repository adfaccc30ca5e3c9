import type { Arrow } from "./notation.ts";
import type { ConvergencePolicy, EdgePattern, EdgeType, NodeKind, OnTimeout } from "./types.ts";

export interface EdgeOptions {
  /** Default "flow". The name or the arrow: `"call"` or `"<->"`. */
  readonly pattern?: EdgePattern | Arrow;
  /** Default "invoke". The others need the flow pattern. */
  readonly type?: EdgeType;
  /** Taken when the source fails. */
  readonly on?: "error";
  /**
   * `true`, into a user node: when the source fails for good a person is asked whether to `retry`, `skip` or `abort`. The
   * question is a `RecoveryPrompt`, the answer a `RecoveryAnswer`. `maxVisits` bounds how often, `timeoutMs` how long it waits;
   * then, and after `abort`, the failure goes on as if this edge were not there.
   */
  readonly recovery?: boolean;
  /** Name of a registered function, a label, or a CEL expression. Also `metadata.condition`. */
  readonly condition?: string;
  /** Taken when no sibling's condition held. */
  readonly else?: boolean;
  /** Times the edge may be taken in one run; 0 means never. */
  readonly maxVisits?: number;
  /** Conversations only. Default 10. Also `metadata.maxTurns`. */
  readonly maxTurns?: number;
  /** Time limit of one attempt of a step reached over this edge, in milliseconds. */
  readonly timeoutMs?: number;
  /** Marks the back edge of a cycle with several entries. */
  readonly back?: boolean;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface EdgeValue extends EdgeOptions {
  readonly from: string;
  readonly to: string;
}

/** An edge as a value, to be mixed with strings and tuples in `edges`. Checked when the topology is read. */
export function Edge(from: string, to: string, options: EdgeOptions = {}): EdgeValue {
  return Object.freeze({ ...options, from, to });
}

export interface NodeOptions {
  /** Default "agent"; the names `User`, `Start` and `End`, in any case, have the kinds they say. */
  readonly kind?: NodeKind;
  /** `false`: never joins, each arrival is its own activation. */
  readonly convergence?: boolean;
  readonly merge?: boolean;
  readonly convergencePolicy?: ConvergencePolicy | "all" | "any";
  /** Milliseconds from the first arrival; `false` switches the timeout off. */
  readonly convergenceTimeoutMs?: number | false;
  /** Calls of this node go out all at once. Default false: one after another. */
  readonly parallelCalls?: boolean;
  /**
   * `"error-handler"`: every edge into this node is an error edge while error routing is on. `"error-recovery"`, on a user
   * node: every edge into it is a recovery edge.
   */
  readonly role?: string;
  /** "values": a list input holds bare values instead of `{ from, value }`. */
  readonly input?: "arrivals" | "values";
  /**
   * Time limit of one attempt of a step here, in milliseconds; `false` switches it off. Of a user node: how long a person has
   * to answer, on the wall clock, also while no process runs. Default there: no limit.
   */
  readonly timeoutMs?: number | false;
  /** User nodes: fail with `ORCH_TIMEOUT` when nobody answered within `timeoutMs`, or go on with this answer. Default "fail". */
  readonly onTimeout?: OnTimeout;
  /** Name of the registered agent, tool or system function. Default: the node's name. */
  readonly uses?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface NodeValue extends NodeOptions {
  readonly name: string;
}

/** A node as a value, to be mixed with plain names in `nodes`. Checked when the topology is read. */
export function Node(name: string, options: NodeOptions = {}): NodeValue {
  return Object.freeze({ ...options, name });
}
