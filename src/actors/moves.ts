// Moves: how control passes over edges. Forks, back edges, arrivals and entries.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { PlanEdge } from "../topology/plan.ts";
import { arrive, ownerOf, ownsEnd, type Fired } from "./barriers.ts";
import type { Mutable } from "./copies.ts";
import { inputOf, openInstance, type Draft } from "./draft.ts";
import type { Arrival, StepInput } from "./effects.ts";
import { NO_RECORDS, recordsAhead, withRecord, type StepJournal } from "./journal.ts";
import type { Branch, Instance } from "./session-state.ts";
import { enter, type Entering } from "./steps.ts";

/** What a branch takes along over an edge. */
export interface Cargo {
  /** The node it leaves. */
  readonly from: string;
  /** The value, or on an error edge what failed, with the input of the failed step. */
  readonly load: { readonly value: Stored } | { readonly error: ErrorData; readonly failedInput: StepInput };
  /** The step that was left, for stream edges. */
  readonly stepId?: string;
  /** The journal of the step that was left: it holds what the target of a stream edge recorded ahead. */
  readonly ahead?: StepJournal;
}

/** Uses of an edge that has `maxVisits` are counted here and nowhere else. */
export function countVisit(draft: Draft, edge: PlanEdge): void {
  if (edge.maxVisits === false) return;
  draft.run.visits = { ...draft.run.visits, [edge.id]: (draft.run.visits[edge.id] ?? 0) + 1 };
}

export function isSpent(draft: Draft, edge: PlanEdge): boolean {
  return edge.maxVisits !== false && (draft.run.visits[edge.id] ?? 0) >= edge.maxVisits;
}

/** The branch moves over one edge and arrives or enters at its end. */
export function traverse(draft: Draft, branch: Branch, edge: PlanEdge, cargo: Cargo): void {
  countVisit(draft, edge);
  const arrival = arrivalOf(cargo);
  const along = alongOf(draft, edge, cargo);
  if (edge.back === "none") {
    reach(draft, branch, edge.to, arrival, plainInput(cargo), along, false);
    return;
  }
  const left = outermostLeft(draft, branch.instance, edge.to);
  const back = left === null ? null : returnOwner(draft, branch.instance, left, edge);
  if (back !== null) {
    arrive(draft, branch, back, draft.plan.returnOf(edge.to), arrival);
    return;
  }
  const outside = left === null ? branch : outsideOf(left);
  reach(draft, branch, edge.to, arrival, plainInput(cargo), along, true, outside);
}

/** One child branch per edge, in declared order; the branch itself is done. */
export function fork(draft: Draft, branch: Branch, edges: readonly PlanEdge[], cargo: Cargo): void {
  const instance = openInstance(draft, branch, null);
  const value = "value" in cargo.load ? { value: cargo.load.value } : {};
  edges.forEach((edge, place) =>
    traverse(draft, startChild(draft, branch, instance, place, edge.to, cargo), edge, cargo),
  );
  draft.endBranch(branch.id, "completed", value);
}

/** The elements of a parallel command over flow edges: each activates its target on its own (never waits there). */
export function forkParallel(
  draft: Draft,
  branch: Branch,
  items: readonly { readonly edge: PlanEdge; readonly input: Stored }[],
  from: string,
): void {
  const instance = openInstance(
    draft,
    branch,
    items.map(({ edge }) => edge.to),
  );
  items.forEach(({ edge, input }, place) => {
    const cargo: Cargo = { from, load: { value: input } };
    const child = startChild(draft, branch, instance, place, edge.to, cargo);
    if (edge.back !== "none") {
      traverse(draft, child, edge, cargo);
      return;
    }
    countVisit(draft, edge);
    const moved = draft.moveBranch(child, edge.to);
    enter(draft, moved, shapeInput(draft, moved, arrivalOf(cargo), inputOf(input), false), alongOf(draft, edge, cargo));
  });
  draft.endBranch(branch.id, "completed");
}

/** A move that counts for no rendezvous: over a peer edge. */
export function moveToPeer(draft: Draft, branch: Branch, node: number, value: Stored): void {
  enter(draft, draft.moveBranch(branch, node), inputOf(value));
}

/** What a barrier fired goes on: at the node, or, from a return point, outside of what was left. */
export function proceed(draft: Draft, fired: Fired): void {
  const { plan } = draft;
  const node = plan.nodeOf(fired.end);
  const input: StepInput = { kind: "list", items: fired.arrivals };
  const at = { parent: fired.parent, frame: fired.instance.frame, node, input, late: fired.late };
  if (!plan.isReturn(fired.end)) {
    const branch = draft.startBranch({ ...at, instance: fired.instance.id, order: fired.order });
    enter(draft, branch, input);
    return;
  }
  const left = outermostLeft(draft, fired.instance.id, node) ?? fired.instance;
  const outside = outsideOf(left);
  const branch = draft.startBranch({ ...at, ...outside });
  const owner = ownerOf(draft, outside.instance, node);
  if (owner === null) {
    enter(draft, branch, input);
    return;
  }
  const values = fired.arrivals.flatMap((arrival) => ("value" in arrival ? [arrival.value] : []));
  arrive(draft, branch, owner, node, { from: draft.nodeName(node), value: { list: values } });
}

/** Where a return barrier of `instance` leads to: the instance that stays. */
export function outsideOfReturn(draft: Draft, instance: Instance, end: number): number {
  return (outermostLeft(draft, instance.id, draft.plan.nodeOf(end)) ?? instance).parent;
}

function startChild(
  draft: Draft,
  parent: Branch,
  instance: Instance,
  place: number,
  shown: number,
  cargo: Cargo,
): Branch {
  return draft.startBranch(
    {
      parent: parent.id,
      frame: parent.frame,
      instance: instance.id,
      order: [...parent.order, place],
      node: parent.node,
      notify: parent.notify,
      late: parent.late,
      input: plainInput(cargo),
    },
    { node: shown },
  );
}

function reach(
  draft: Draft,
  branch: Branch,
  node: number,
  arrival: Arrival,
  input: StepInput,
  along: Entering,
  cameBack: boolean,
  into: { instance: number; order: readonly number[] } = branch,
): void {
  const owner = ownerOf(draft, into.instance, node);
  if (owner !== null) {
    arrive(draft, branch, owner, node, arrival);
    return;
  }
  const moved = draft.moveBranch(branch, node, into);
  enter(draft, moved, shapeInput(draft, moved, arrival, input, cameBack), along);
}

/** A rendezvous always gets the list of arrivals, even of one. */
function shapeInput(draft: Draft, branch: Branch, arrival: Arrival, plain: StepInput, cameBack: boolean): StepInput {
  const node = draft.plan.nodes[branch.node]!;
  const joins = node.rendezvous || (cameBack && node.returnRendezvous);
  const listed = joins && draft.run.limits.convergence && draft.frame(branch.frame).kind !== "notify";
  return listed ? { kind: "list", items: [arrival] } : plain;
}

function arrivalOf({ from, load }: Cargo): Arrival {
  return "value" in load ? { from, value: load.value } : { from, error: load.error };
}

function plainInput({ load }: Cargo): StepInput {
  return "value" in load ? inputOf(load.value) : load.failedInput;
}

function alongOf(draft: Draft, edge: PlanEdge, { load, stepId, ahead }: Cargo): Entering {
  const along: Mutable<Entering> = {};
  if ("error" in load) along.error = load.error;
  if (edge.data.type === "stream" && stepId !== undefined) {
    along.streamedFrom = stepId;
    along.journal = journalAhead(ahead, draft.nodeName(edge.to));
  }
  if (edge.data.timeoutMs !== undefined) along.edgeTimeoutMs = edge.data.timeoutMs;
  return along;
}

function journalAhead(ahead: StepJournal = NO_RECORDS, node: string): StepJournal {
  return recordsAhead(ahead, node).reduce((journal, [key, value]) => withRecord(journal, key, value), NO_RECORDS);
}

/** The outermost instance around `instance` that a back edge to `head` leaves. */
function outermostLeft(draft: Draft, instance: number, head: number): Instance | null {
  let left: Instance | null = null;
  for (const around of draft.chain(instance)) if (draft.plan.leaves(head, around.fork)) left = around;
  return left;
}

function outsideOf(left: Instance): { instance: number; order: readonly number[] } {
  return { instance: left.parent, order: left.base };
}

/** The outermost of the instances left that owns the return point; a marked edge joins there only while the barrier is open. */
function returnOwner(draft: Draft, instance: number, left: Instance, edge: PlanEdge): Instance | null {
  const end = draft.plan.returnOf(edge.to);
  let owner: Instance | null = null;
  for (const around of draft.chain(instance)) {
    if (ownsEnd(draft, around, end)) owner = around;
    if (around.id === left.id) break;
  }
  if (owner === null || edge.back === "natural") return owner;
  return owner.barriers.some((barrier) => barrier.end === end) ? owner : null;
}
