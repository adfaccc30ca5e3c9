// Outcomes: what follows from a value, a command or a failure at a node (architecture, 5.1). The numbers 0 to 5 are those of
// the page.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { PlanEdge } from "../topology/plan.ts";
import { failBranch } from "./barriers.ts";
import { decideCommand, type Addressed } from "./commands.ts";
import type { Mutable } from "./copies.ts";
import { inputOf, type Draft } from "./draft.ts";
import type { Arrival, StepInput } from "./effects.ts";
import { deliver, deliverFinal, notify, openConversation, skip, startCalls, takeTurn } from "./frames.ts";
import { countVisit, fork, forkParallel, isSpent, moveToPeer, traverse, type Cargo } from "./moves.ts";
import type { Branch, StepWork } from "./session-state.ts";
import type { StepJournal } from "./journal.ts";
import { ask, askRecovery, enter } from "./steps.ts";
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
  const cargo: Mutable<Cargo> = { from: draft.nodeName(branch.node), load: { value } };
  if (stepId !== undefined) cargo.stepId = stepId;
  if (journal !== undefined) cargo.ahead = journal;
  return cargo;
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
  if (ids.length === 1) {
    const edge = draft.plan.edges[ids[0]!]!;
    return holds(draft, edge, held) || (edge.isElse && !isSpent(draft, edge)) ? [edge] : NO_EDGES;
  }
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
export function wake(draft: Draft, branch: Branch, replies: readonly Arrival[]): void {
  enter(
    draft,
    draft.putBranch({ ...branch, phase: { kind: "idle" } }),
    { kind: "list", items: replies },
    { replies, woken: true },
  );
}
