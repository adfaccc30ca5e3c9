// Outcomes: what follows from a value, a command or a failure at a node (architecture, 5.1), and from the end
// of a frame or a barrier. The numbers 0 to 5 are those of the page.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { PlanEdge } from "../topology/plan.ts";
import { askAtBarrier, compareOrder, decideBarrier, failBarrier, failBranch, fire, policyAt } from "./barriers.ts";
import { decideCommand, type Addressed } from "./commands.ts";
import { inputOf, listOf, type Draft } from "./draft.ts";
import type { Arrival, StepInput } from "./effects.ts";
import { completeRun, failRun } from "./ending.ts";
import {
  callNext,
  decideFrame,
  deliver,
  deliverFinal,
  firstFailure,
  noteReply,
  notify,
  openConversation,
  skip,
  startCalls,
  takeTurn,
  type CallsVerdict,
  type FrameVerdict,
} from "./frames.ts";
import {
  countVisit,
  fork,
  forkParallel,
  isSpent,
  moveToPeer,
  outsideOfReturn,
  proceed,
  traverse,
  type Cargo,
} from "./moves.ts";
import { GrowingList } from "./growing-list.ts";
import type { Barrier, Branch, Frame, Instance, StepWork } from "./session-state.ts";
import type { StepJournal } from "./journal.ts";
import { ask, askInsufficient, askRecovery, enter } from "./steps.ts";
import type { Outcome } from "./facts.ts";

/** Where an outcome comes from: the step that made it, and the conditions judged on it. */
export interface Source {
  readonly held: readonly number[];
  readonly stepId?: string;
  readonly journal?: StepJournal;
  /** The step was woken by replies: a plain value makes no calls. */
  readonly woken?: boolean;
  /** The step, when it has failed: a person may have it tried again. */
  readonly work?: StepWork;
  /** Input of the step, for a handler of its failure. */
  readonly input: StepInput;
}

export function applyOutcome(draft: Draft, branch: Branch, outcome: Outcome, source: Source): void {
  switch (outcome.kind) {
    case "value":
      leave(draft, branch, outcome.value, source);
      return;
    case "final":
      deliverFinal(draft, branch, outcome.value);
      return;
    case "ask":
      ask(draft, branch, {
        kind: "ask",
        prompt: outcome.prompt,
        input: source.input,
        timeoutMs: outcome.timeoutMs,
        fallback: outcome.fallback,
      });
      return;
    case "invoke":
    case "parallel":
      obey(draft, branch, outcome, source);
  }
}

/** Would the outcome be refused where the branch stands? Then the step has failed, and this says why. */
export function refusalOf(draft: Draft, branch: Branch, outcome: Outcome): ErrorData | undefined {
  if (outcome.kind !== "invoke" && outcome.kind !== "parallel") return undefined;
  const verdict = decideCommand(draft, branch, outcome);
  return verdict.type === "refused" ? verdict.error : undefined;
}

function obey(draft: Draft, branch: Branch, outcome: Outcome, source: Source): void {
  const verdict = decideCommand(draft, branch, outcome);
  const cargo = (to: Addressed): Cargo => cargoOf(draft, branch, to.input, source);
  switch (verdict.type) {
    case "call":
      startCalls(
        draft,
        branch,
        verdict.targets.map(({ edge, node, input }) => ({ edge, node, input: inputOf(input) })),
        "parallel",
      );
      return;
    case "move":
      traverse(draft, branch, verdict.to.edge, cargo(verdict.to));
      return;
    case "fork":
      forkParallel(draft, branch, verdict.targets, draft.nodeName(branch.node));
      return;
    case "peer":
      moveToPeer(draft, branch, verdict.to.node, verdict.to.input);
      return;
    case "exit":
      deliver(draft, branch, verdict.to.input);
      return;
    case "converse":
      openConversation(draft, branch, verdict.to.edge, verdict.to.input);
      return;
    case "turn":
      takeTurn(draft, branch, draft.frame(branch.frame), verdict.to.input);
      return;
    case "wake":
      wake(draft, branch, []);
      return;
    case "refused":
      failStep(draft, branch, verdict.error, source);
  }
}

/** A plain value at the node of the branch. */
export function leave(draft: Draft, branch: Branch, value: Stored, source: Source): void {
  const { plan } = draft;
  const { out } = plan.nodes[branch.node]!;
  const frame = draft.frame(branch.frame);
  if (frame.kind === "conversation" && branch.instance === 0) {
    takeTurn(draft, branch, frame, value);
    return;
  }
  // 0
  const conversation = out.conversation.find(
    (id) => !branch.conversed.includes(id) && holds(draft, plan.edges[id]!, source.held),
  );
  if (conversation !== undefined) {
    openConversation(draft, branch, plan.edges[conversation]!, value);
    return;
  }
  // 1
  if (source.woken !== true && out.call.length > 0) {
    const callees = choose(draft, out.call, source.held).filter((edge) => !frame.callers.includes(edge.to));
    if (callees.length > 0) {
      const mode = plan.nodes[branch.node]!.data.parallelCalls === true ? "parallel" : "sequential";
      startCalls(
        draft,
        branch,
        callees.map((edge) => ({ edge, node: edge.to, input: inputOf(value) })),
        mode,
      );
      return;
    }
  }
  for (const edge of choose(draft, out.notify, source.held)) {
    notify(draft, branch, edge, value);
  }
  // 2
  if (branch.enteredByCall) {
    deliver(draft, branch, value);
    return;
  }
  // 3
  const chosen = choose(draft, out.exit.length === 0 ? out.flow : [...out.flow, ...out.exit], source.held);
  const flows = out.exit.length === 0 ? chosen : chosen.filter((edge) => edge.role === "flow");
  if (flows.length > 0) {
    const cargo = cargoOf(draft, branch, value, source);
    if (flows.length === 1) traverse(draft, branch, flows[0]!, cargo);
    else fork(draft, branch, flows, cargo);
    return;
  }
  // 4
  if (chosen.length > 0 || out.flow.length + out.exit.length === 0) {
    deliver(draft, branch, value);
    return;
  }
  const spentEdge = [...out.flow, ...out.exit]
    .map((id) => plan.edges[id]!)
    .find((edge) => isSpent(draft, edge) && wouldHold(edge, source.held));
  if (spentEdge !== undefined) {
    const { from, to } = spentEdge.data;
    failStep(
      draft,
      branch,
      {
        code: "ORCH_LOOP_BOUND",
        message: `the edge ${from} -> ${to} may be used ${String(spentEdge.maxVisits)} times and is spent, and nothing else held`,
        node: from,
      },
      source,
    );
    return;
  }
  // 5
  skip(draft, branch);
}

function cargoOf(draft: Draft, branch: Branch, value: Stored, { stepId, journal }: Source): Cargo {
  return {
    from: draft.nodeName(branch.node),
    load: { value },
    ...(stepId === undefined ? {} : { stepId }),
    ...(journal === undefined ? {} : { ahead: journal }),
  };
}

function wouldHold(edge: PlanEdge, held: readonly number[]): boolean {
  return !edge.isElse && (!edge.conditional || held.includes(edge.id));
}

function holds(draft: Draft, edge: PlanEdge, held: readonly number[]): boolean {
  if (!wouldHold(edge, held)) return false;
  if (!isSpent(draft, edge)) return true;
  draft.noteOnce("boundsHit", `${edge.data.from} -> ${edge.data.to}`);
  return false;
}

const NO_EDGES: readonly PlanEdge[] = Object.freeze([]);

/** The edges of a group that hold; `else` edges where no conditional sibling does. */
function choose(draft: Draft, ids: readonly number[], held: readonly number[]): readonly PlanEdge[] {
  if (ids.length === 0) return NO_EDGES;
  const edges = ids.map((id) => draft.plan.edges[id]!);
  const holding = edges.filter((edge) => holds(draft, edge, held));
  if (holding.some((edge) => edge.conditional)) return holding;
  const others = edges.filter((edge) => edge.isElse && !isSpent(draft, edge));
  return others.length === 0 ? holding : edges.filter((edge) => holding.includes(edge) || others.includes(edge));
}

/** A step has failed for good: a person says what now, an error edge carries it on, or its branch fails. */
export function failStep(draft: Draft, branch: Branch, error: ErrorData, source: Source): void {
  const node = draft.plan.nodes[branch.node]!;
  const placed: ErrorData = { ...error, node: error.node ?? node.name };
  const [recovery] = choose(draft, node.out.recovery, source.held);
  if (recovery === undefined) {
    failOnward(draft, branch, placed, source);
    return;
  }
  countVisit(draft, recovery);
  askRecovery(draft, branch, recovery, { error: placed, input: source.input, work: source.work });
}

/** The same without asking a person. */
export function failOnward(draft: Draft, branch: Branch, placed: ErrorData, source: Source): void {
  const node = draft.plan.nodes[branch.node]!;
  const edges = draft.run.limits.errorRouting ? choose(draft, node.out.error, source.held) : [];
  if (edges.length === 0) {
    failBranch(draft, branch, placed);
    return;
  }
  const cargo: Cargo = { from: node.name, load: { error: placed, failedInput: source.input } };
  if (edges.length === 1) traverse(draft, branch, edges[0]!, cargo);
  else fork(draft, branch, edges, cargo);
}

/** The caller goes on with the replies: the step after its calls. */
function wake(draft: Draft, branch: Branch, replies: readonly Arrival[]): void {
  enter(
    draft,
    draft.putBranch({ ...branch, phase: { kind: "idle" } }),
    { kind: "list", items: replies },
    { replies, woken: true },
  );
}

// --- what follows from ends

/** Settles everything that is due (D3), until nothing more follows. `held`: conditions judged with the fact at hand. */
export function settle(draft: Draft, held: readonly number[]): void {
  while (draft.run.end === null) {
    if (draft.refused !== null) {
      failRun(draft, draft.refused.error, draft.refused.reason);
      return;
    }
    const due = nextDecidable(draft);
    if (due !== undefined) {
      closeBarrier(draft, due.instance, due.barrier, due.verdict);
      continue;
    }
    const frameId = draft.emptied.pop();
    if (frameId === undefined) return;
    const frame = draft.run.frames.get(frameId);
    if (frame !== undefined && frame.live === 0 && frame.asking !== true) endFrame(draft, frame, held);
  }
}

function nextDecidable(
  draft: Draft,
): { instance: Instance; barrier: Barrier; verdict: "fire" | "insufficient" } | undefined {
  if (draft.touched === undefined) return undefined;
  for (const id of draft.touched) {
    const instance = draft.run.instances.get(id);
    if (instance !== undefined && instance.total > 0) {
      for (const barrier of instance.barriers) {
        const verdict = decideBarrier(draft, instance, barrier);
        if (verdict !== "wait") return { instance, barrier, verdict };
      }
    } else if (instance !== undefined) {
      draft.run.instances = draft.run.instances.delete(id);
    }
    draft.touched.delete(id);
  }
  return undefined;
}

function closeBarrier(draft: Draft, instance: Instance, barrier: Barrier, verdict: "fire" | "insufficient"): void {
  if (verdict === "fire") {
    proceed(draft, fire(draft, instance, barrier));
    return;
  }
  const { onInsufficient = "fail" } = policyAt(draft, barrier.end);
  if (onInsufficient === "proceed") proceed(draft, fire(draft, instance, barrier));
  else if (onInsufficient === "user") askAtBarrier(draft, instance, barrier);
  else failBarrier(draft, instance, barrier, outsideOfReturn(draft, instance, barrier.end));
}

function endFrame(draft: Draft, frame: Frame, held: readonly number[], decided?: FrameVerdict): void {
  if (frame.kind === "notify") {
    draft.closeFrame(frame.id);
    draft.addLive(0, -1);
    return;
  }
  const verdict = decided ?? decideFrame(draft, frame);
  if (verdict.type === "ask") {
    draft.putFrame({ ...frame, asking: true });
    askInsufficient(
      draft,
      draft.nodeName(frame.node),
      { frame: frame.id },
      frame.failures.map((f) => f.node),
    );
    return;
  }
  if (verdict.type === "delivered" && verdict.partial) {
    draft.run.partial = true;
    for (const { node } of frame.failures) draft.noteOnce("missing", node);
  }
  if (frame.kind === "run") {
    if (verdict.type === "delivered") completeRun(draft, verdict.values);
    else failRun(draft, verdict.error);
    return;
  }
  draft.closeFrame(frame.id);
  const owner = draft.branch(frame.owner!);
  if (frame.kind === "call") {
    const from = draft.nodeName(frame.node);
    const reply: Arrival =
      verdict.type === "delivered" ? { from, value: listOf(verdict.values) } : { from, error: verdict.error };
    goOn(draft, owner.id, noteReply(draft, owner.id, frame.call, reply), held);
    return;
  }
  const resumed = draft.putBranch({ ...owner, phase: { kind: "idle" } });
  if (verdict.type === "delivered") leave(draft, resumed, listOf(verdict.values), { held, input: resumed.input });
  else failStep(draft, resumed, verdict.error, { held, input: resumed.input });
}

function goOn(draft: Draft, branchId: number, verdict: CallsVerdict, held: readonly number[]): void {
  switch (verdict.type) {
    case "wait":
      return;
    case "next":
      callNext(draft, branchId);
      return;
    case "woken":
      if (verdict.missing.length > 0) draft.run.partial = true;
      for (const name of verdict.missing) draft.noteOnce("missing", name);
      wake(draft, draft.branch(branchId), verdict.replies);
      return;
    case "failed": {
      const branch = draft.branch(branchId);
      draft.dropWork(branch);
      const resumed = draft.putBranch({ ...draft.branch(branchId), phase: { kind: "idle" } });
      failStep(draft, resumed, verdict.error, { held, input: resumed.input });
    }
  }
}

/** A person's word on what is missing: go on with what there is, give up, or take this value in. */
export function answerInsufficient(
  draft: Draft,
  of: { barrier?: { instance: number; end: number }; frame?: number },
  word: "proceed" | "fail" | Stored,
): void {
  if (of.barrier !== undefined) {
    const instance = draft.instance(of.barrier.instance);
    const barrier = instance.barriers.find((b) => b.end === of.barrier!.end)!;
    if (word === "fail") {
      failBarrier(draft, instance, barrier, outsideOfReturn(draft, instance, barrier.end));
      return;
    }
    const added =
      word === "proceed"
        ? []
        : [
            {
              branch: 0,
              parent: null,
              order: instance.base,
              from: "User",
              arrival: { from: "User", value: word },
              late: [],
            },
          ];
    proceed(draft, fire(draft, instance, { ...barrier, arrivals: GrowingList.from([...barrier.arrivals, ...added]) }));
    return;
  }
  const frame = draft.frame(of.frame!);
  const values = frame.deliveries.toSorted((a, b) => compareOrder(a.order, b.order)).map((d) => d.value);
  if (word !== "proceed" && word !== "fail") values.push(word);
  const verdict: FrameVerdict =
    word === "fail" || values.length === 0
      ? { type: "failed", error: firstFailure(draft, frame)! }
      : { type: "delivered", values, partial: true };
  endFrame(draft, frame, [], verdict);
}
