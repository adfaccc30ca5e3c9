// Frames: what is delivered, called, held in conversation, and what that comes to.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { PlanEdge } from "../topology/plan.ts";
import { compareOrder } from "./barriers.ts";
import { inputOf, type Draft } from "./draft.ts";
import type { Arrival, StepInput } from "./effects.ts";
import type { Branch, Calls, Frame } from "./session-state.ts";
import { enter } from "./steps.ts";

/** The branch ends with its value handed to its frame. */
export function deliver(draft: Draft, branch: Branch, value: Stored): void {
  const frame = draft.frame(branch.frame);
  draft.putFrame({
    ...frame,
    deliveries: [...frame.deliveries, { order: branch.order, from: draft.nodeName(branch.node), value }],
  });
  draft.endBranch(branch.id, "completed", { value });
}

/** `next.final`: the value is the frame's only result, whatever else was under way in it. */
export function deliverFinal(draft: Draft, branch: Branch, value: Stored): void {
  const { frame: frameId, order, node } = branch;
  draft.endBranch(branch.id, "completed", { value });
  draft.cancelFrame(frameId);
  draft.putFrame({
    ...draft.frame(frameId),
    deliveries: [{ order, from: draft.nodeName(node), value }],
    failed: 0,
    failures: [],
  });
}

/** The branch ends undelivered. */
export function skip(draft: Draft, branch: Branch): void {
  const frame = draft.frame(branch.frame);
  const name = draft.nodeName(branch.node);
  if (!frame.skipped.includes(name)) draft.putFrame({ ...frame, skipped: [...frame.skipped, name] });
  draft.endBranch(branch.id, "skipped");
}

export type FrameVerdict =
  | { readonly type: "delivered"; readonly values: readonly Stored[]; readonly partial: boolean }
  | { readonly type: "failed"; readonly error: ErrorData }
  | { readonly type: "ask" };

/** What a frame with nothing left alive comes to. Units are branches. */
export function decideFrame(draft: Draft, frame: Frame): FrameVerdict {
  const { minRatio = 1, onInsufficient = "fail" } = draft.run.limits.convergencePolicy;
  const delivered = frame.deliveries.length;
  const values = frame.deliveries.toSorted((a, b) => compareOrder(a.order, b.order)).map((d) => d.value);
  if (delivered + frame.failed === 0) return { type: "failed", error: noRoute(draft, frame) };
  if (delivered / (delivered + frame.failed) >= minRatio && delivered > 0)
    return { type: "delivered", values, partial: frame.failed > 0 };
  if (onInsufficient === "proceed" && delivered > 0) return { type: "delivered", values, partial: true };
  if (onInsufficient === "user" && frame.kind !== "conversation") return { type: "ask" };
  return { type: "failed", error: firstFailure(draft, frame) ?? noRoute(draft, frame) };
}

/** By declared order of nodes, so that it does not depend on which failed sooner. */
export function firstFailure(draft: Draft, { failures }: Pick<Frame, "failures">): ErrorData | undefined {
  const place = ({ node }: { node: string }): number => draft.plan.nodeByName.get(node) ?? draft.plan.nodes.length;
  return failures.toSorted((a, b) => place(a) - place(b))[0]?.error;
}

function noRoute(draft: Draft, frame: Frame): ErrorData {
  const { plan } = draft;
  // A run that moved may have left nodes behind.
  const known = frame.skipped.filter((name) => plan.nodeByName.has(name));
  const skipped = known.toSorted((a, b) => plan.nodeByName.get(a)! - plan.nodeByName.get(b)!);
  const places = skipped.map((name) => {
    const { flow, exit } = plan.nodes[plan.nodeByName.get(name)!]!.out;
    const conditions = [...flow, ...exit]
      .map((id) => plan.edges[id]!.data)
      .filter((edge) => edge.condition !== undefined);
    return conditions.length === 0
      ? name
      : `${name} (did not hold: ${conditions.map((e) => `${e.condition} to ${e.to}`).join("; ")})`;
  });
  const what = frame.kind === "run" ? "the run" : `the call of ${draft.nodeName(frame.node)}`;
  return {
    code: "ORCH_NO_ROUTE",
    message: `${what} ended with nothing delivered${places.length === 0 ? "" : `; branches ended at ${places.join(", ")}`}`,
    node: skipped[0] ?? draft.nodeName(frame.node),
  };
}

// --- calls

export interface CallTarget {
  readonly edge: PlanEdge;
  readonly node: number;
  readonly input: StepInput;
}

/** The branch waits for its callees: all at once, or one after another. */
export function startCalls(draft: Draft, branch: Branch, targets: readonly CallTarget[], mode: Calls["mode"]): void {
  const calls: Calls = {
    mode,
    targets: targets.map(({ edge, node, input }) => ({ edge: edge.id, node, input })),
    next: 0,
    open: 0,
    replies: targets.map(() => null),
  };
  draft.putBranch({ ...branch, phase: { kind: "calling", calls } });
  if (mode === "sequential") callNext(draft, branch.id);
  else targets.forEach(() => callNext(draft, branch.id));
}

/** Calls the next target; false when there is none left. */
export function callNext(draft: Draft, branchId: number): boolean {
  const branch = draft.branch(branchId);
  const calls = callsOf(branch);
  const target = calls.targets[calls.next];
  if (target === undefined) return false;
  draft.putBranch({
    ...branch,
    phase: { kind: "calling", calls: { ...calls, next: calls.next + 1, open: calls.open + 1 } },
  });
  const edge = draft.plan.edges[target.edge]!;
  if (edge.maxVisits !== false)
    draft.run.visits = { ...draft.run.visits, [edge.id]: (draft.run.visits[edge.id] ?? 0) + 1 };
  const frame = openFrame(draft, branch, { kind: "call", call: calls.next, node: target.node });
  const callee = draft.startBranch({
    parent: branch.id,
    frame: frame.id,
    instance: 0,
    order: [],
    node: target.node,
    input: target.input,
    enteredByCall: true,
    mustAnswer: edge.data.pattern === "reflexive",
    notify: branch.notify,
  });
  const soFar = calls.replies.filter((reply): reply is Arrival => reply !== null);
  enter(draft, callee, target.input, {
    ...(calls.mode === "sequential" && soFar.length > 0 ? { replies: soFar } : {}),
    ...(edge.data.timeoutMs === undefined ? {} : { edgeTimeoutMs: edge.data.timeoutMs }),
  });
  return true;
}

export type CallsVerdict =
  | { readonly type: "wait" }
  | { readonly type: "next" }
  | { readonly type: "woken"; readonly replies: readonly Arrival[]; readonly missing: readonly string[] }
  | { readonly type: "failed"; readonly error: ErrorData };

/** Notes the reply (or failure) of one call and says how the caller goes on. */
export function noteReply(draft: Draft, branchId: number, call: number, reply: Arrival): CallsVerdict {
  const branch = draft.branch(branchId);
  const before = callsOf(branch);
  const replies = before.replies.map((known, i) => (i === call ? reply : known));
  const calls: Calls = { ...before, open: before.open - 1, replies };
  draft.putBranch({ ...branch, phase: { kind: "calling", calls } });
  return decideCalls(calls, draft.run.limits.convergencePolicy);
}

export function decideCalls(calls: Calls, policy: { minRatio?: number; onInsufficient?: string }): CallsVerdict {
  const { minRatio = 1, onInsufficient = "fail" } = policy;
  const answered = calls.replies.filter((reply): reply is Arrival => reply !== null);
  const arrived = answered.filter((reply) => "value" in reply);
  const failed = answered.length - arrived.length;
  const best = (calls.targets.length - failed) / calls.targets.length;
  const hopeless = best < minRatio && onInsufficient !== "proceed";
  // One after another, those not yet called are not paid for once the outcome is certain.
  if (calls.mode === "sequential" && hopeless) return { type: "failed", error: firstError(answered) };
  if (calls.next < calls.targets.length) return { type: "next" };
  if (calls.open > 0) return { type: "wait" };
  if (arrived.length / calls.targets.length >= minRatio || onInsufficient === "proceed") {
    return {
      type: "woken",
      replies: arrived,
      missing: answered.flatMap((reply) => ("error" in reply ? [reply.from] : [])),
    };
  }
  return { type: "failed", error: firstError(answered) };
}

function firstError(replies: readonly Arrival[]): ErrorData {
  for (const reply of replies) if ("error" in reply) return reply.error;
  throw new TypeError("no reply failed");
}

function callsOf(branch: Branch): Calls {
  if (branch.phase.kind !== "calling") throw new TypeError(`branch ${branch.id} waits for no calls`);
  return branch.phase.calls;
}

// --- conversations and notifications

/** Opens the conversation: the other side has the first turn, with `value`. */
export function openConversation(draft: Draft, branch: Branch, edge: PlanEdge, value: Stored): void {
  const frame = openFrame(draft, branch, { kind: "conversation", call: 0, node: edge.to });
  draft.putFrame({ ...frame, edge: edge.id, turns: 1 });
  draft.putBranch({
    ...branch,
    phase: { kind: "conversing", frame: frame.id, edge: edge.id },
    conversed: [...branch.conversed, edge.id],
  });
  const input = inputOf(value);
  const other = draft.startBranch({
    parent: branch.id,
    frame: frame.id,
    instance: 0,
    order: [],
    node: edge.to,
    input,
    notify: branch.notify,
  });
  enter(draft, other, input);
}

/** The value goes to the other side, or, after `maxTurns`, is the conversation's last. */
export function takeTurn(draft: Draft, branch: Branch, frame: Frame, value: Stored): void {
  const edge = draft.plan.edges[frame.edge!]!;
  if (frame.turns! >= edge.maxTurns) {
    draft.noteOnce("boundsHit", `max_turns(${edge.data.from} <~> ${edge.data.to})`);
    deliver(draft, branch, value);
    return;
  }
  draft.putFrame({ ...frame, turns: frame.turns! + 1 });
  const moved = draft.moveBranch(branch, branch.node === edge.to ? edge.from : edge.to);
  enter(draft, moved, inputOf(value));
}

/** Fire and forget: a frame of its own, whose failure is an event and which joins nothing. */
export function notify(draft: Draft, branch: Branch, edge: PlanEdge, value: Stored): void {
  if (edge.maxVisits !== false)
    draft.run.visits = { ...draft.run.visits, [edge.id]: (draft.run.visits[edge.id] ?? 0) + 1 };
  const frame = openFrame(draft, branch, { kind: "notify", call: 0, node: edge.to, owner: null });
  draft.addLive(0, 1);
  const input = inputOf(value);
  const told = draft.startBranch({
    parent: branch.id,
    frame: frame.id,
    instance: 0,
    order: [],
    node: edge.to,
    input,
    notify: true,
  });
  enter(draft, told, input);
}

function openFrame(draft: Draft, owner: Branch, of: Pick<Frame, "kind" | "call" | "node"> & { owner?: null }): Frame {
  return draft.putFrame({
    id: draft.run.nextFrame++,
    owner: owner.id,
    parent: owner.frame,
    callers: of.kind === "call" ? [...draft.frame(owner.frame).callers, owner.node] : draft.frame(owner.frame).callers,
    live: 0,
    deliveries: [],
    failed: 0,
    failures: [],
    skipped: [],
    ...of,
  });
}
