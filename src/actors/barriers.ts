// Barriers (architecture, 5.4)
//
// B1  A branch arrives at the outermost instance around it that owns the end; where none does, it enters.
// B2  A barrier waits while a candidate is left: something that stands in its instance, has not arrived and
//     can still reach its end. When none is left it decides, once.
// B3  A failed branch counts once at each nearest barrier it was a candidate of, else in its frame.
// B4  Nothing that arrived is dropped without an event.
// B5  Of two barriers of one instance that could each wait for the other (over a loop inside the instance), the one
//     that comes first on forward paths does not wait: some barrier can always decide.

import type { ErrorData } from "../base/errors.ts";
import type { Plan } from "../topology/plan.ts";
import type { ConvergencePolicy } from "../topology/types.ts";
import { barrierName, branchName, convergenceTimer, firedEvent, type Draft } from "./draft.ts";
import type { Arrival, BranchStatus } from "./effects.ts";
import { GrowingList } from "./growing-list.ts";
import type { Barrier, BarrierKey, Branch, Instance } from "./session-state.ts";
import { wantedText, wantsAll } from "./lacking.ts";
import { askInsufficient } from "./steps.ts";

/** The instance at whose barrier a branch in `instance` arrives when it reaches `end`; null: it enters. */
export function ownerOf(draft: Draft, instance: number, end: number): Instance | null {
  let owner: Instance | null = null;
  for (const around of draft.chain(instance)) if (ownsEnd(draft, around, end)) owner = around;
  return owner;
}

/** Does this one instance own the end? Branches of notify edges join nothing. */
export function ownsEnd(draft: Draft, instance: Instance, end: number): boolean {
  if (!draft.run.limits.convergence || draft.frame(instance.frame).kind === "notify") return false;
  return instance.targets === null
    ? draft.plan.owns(instance.fork, end)
    : draft.plan.ownsParallel(instance.fork, instance.targets, end);
}

export function policyAt({ plan, run }: Pick<Draft, "plan" | "run">, end: number): ConvergencePolicy {
  return plan.nodes[plan.nodeOf(end)]!.policy ?? run.limits.convergencePolicy;
}

/** The branch has reached `end` and its part is done; its arrival is counted (B4). */
export function arrive(draft: Draft, branch: Branch, owner: Instance, end: number, arrival: Arrival): void {
  const known = owner.barriers.find((b) => b.end === end);
  const generation = known?.generation ?? (owner.decided[end] ?? 0) + 1;
  const late = branch.late.some((key) => key.instance === owner.id && key.end === end);
  const barrierId = barrierName(draft.plan, owner.id, end, late ? generation - 1 : generation);
  const node = draft.nodeName(draft.plan.nodeOf(end));
  draft.events.push({
    type: "barrier.arrived",
    barrierId,
    node,
    branchId: branchName(branch.id),
    from: arrival.from,
    ...(late ? { late } : {}),
  });
  if (late) {
    draft.endBranch(branch.id, "skipped", "value" in arrival ? { value: arrival.value } : {});
    return;
  }
  const barrier = known ?? openBarrier(draft, owner, end, generation);
  if (barrier.arrivals.length === 0) armConvergence(draft, owner.id, end);
  draft.putBarrier(owner.id, {
    ...barrier,
    arrivals: barrier.arrivals.with({
      branch: branch.id,
      parent: branch.parent,
      order: branch.order,
      from: arrival.from,
      arrival,
      late: branch.late,
    }),
  });
  draft.endBranch(branch.id, "completed", "value" in arrival ? { value: arrival.value } : {});
}

function openBarrier(draft: Draft, owner: Instance, end: number, generation: number): Barrier {
  draft.events.push({
    type: "barrier.opened",
    barrierId: barrierName(draft.plan, owner.id, end, generation),
    node: draft.nodeName(draft.plan.nodeOf(end)),
  });
  return {
    end,
    generation,
    arrivals: GrowingList.from([]),
    failed: 0,
    failures: [],
    missing: [],
    openedAtMs: draft.atMs,
    late: [],
    asking: false,
  };
}

function armConvergence(draft: Draft, instance: number, end: number): void {
  const node = draft.plan.nodes[draft.plan.nodeOf(end)]!;
  const timeoutMs = node.data.convergenceTimeoutMs ?? draft.run.limits.convergenceTimeoutMs;
  if (timeoutMs === false) return;
  draft.armTimer(convergenceTimer(instance, end), {
    kind: "convergence",
    dueAtMs: draft.atMs + timeoutMs,
    heldSinceMs: null,
    instance,
    end,
  });
}

// --- failures (B3)

/** A branch ends without success; what waits for it is told. */
export function failBranch(draft: Draft, branch: Branch, error: ErrorData, status: BranchStatus = "failed"): void {
  const node = draft.nodeName(branch.node);
  const placed = { node: error.node ?? node, branchId: error.branchId ?? branchName(branch.id), ...error };
  countFailure(draft, branch.frame, nearestBarriers(draft, branch.instance, branch.node, branch.late), {
    node,
    error: placed,
  });
  draft.endBranch(branch.id, status, { error: placed });
}

function countFailure(
  draft: Draft,
  frameId: number,
  nearest: readonly BarrierKey[],
  failure: { node: string; error: ErrorData },
): void {
  for (const key of nearest) addFailure(draft, key, failure);
  if (nearest.length === 0) {
    const frame = draft.frame(frameId);
    draft.putFrame({ ...frame, failed: frame.failed + 1, failures: [...frame.failures, failure] });
  }
}

/** The first barriers that something at `position` in `instance` may reach. */
function nearestBarriers(
  draft: Draft,
  instance: number,
  position: number,
  late: readonly BarrierKey[],
  leadsTo: (fork: number, position: number, end: number) => boolean = draft.plan.reaches,
): BarrierKey[] {
  const { plan } = draft;
  const keys: BarrierKey[] = [];
  if (instance === 0 || !draft.run.limits.convergence) return keys;
  for (const around of draft.chain(instance)) {
    for (let end = 0; end < plan.nodes.length * 2; end++) {
      if (!leadsTo(around.fork, position, end) || ownerOf(draft, instance, end)?.id !== around.id) continue;
      if (!late.some((key) => key.instance === around.id && key.end === end)) keys.push({ instance: around.id, end });
    }
  }
  return keys.filter((key) => !keys.some((other) => other.end !== key.end && plan.before(other.end, key.end)));
}

function addFailure(draft: Draft, { instance, end }: BarrierKey, failure: { node: string; error: ErrorData }): void {
  const owner = draft.instance(instance);
  const barrier =
    owner.barriers.find((b) => b.end === end) ?? openBarrier(draft, owner, end, (owner.decided[end] ?? 0) + 1);
  draft.putBarrier(instance, {
    ...barrier,
    failed: barrier.failed + 1,
    failures: [...barrier.failures, failure],
    missing: [...barrier.missing, failure.node],
  });
}

// --- candidates (B2)

/** Does anything still stand in the instance that may yet arrive at the barrier? */
export function hasCandidate(draft: Draft, instance: Instance, barrier: Barrier): boolean {
  const { end } = barrier;
  if (instance.marked) return candidates(draft, instance, end).length > 0;
  const { plan } = draft;
  const others = notWaitedFor(plan, instance, end);
  return (
    instance.standing.find((count, at) => waitedFor(others, count, at) > 0 && plan.reaches(instance.fork, at, end)) !==
    undefined
  );
}

/** How many may yet arrive at `end`, where a barrier is or would be, of an instance in which nothing is marked `late`. */
export function candidateCount(
  plan: Plan,
  instance: Pick<Instance, "fork" | "barriers"> & { readonly standing: Pick<Instance["standing"], "find"> },
  end: number,
): number {
  const others = notWaitedFor(plan, instance, end);
  let found = 0;
  instance.standing.find((count, at) => {
    const waiting = waitedFor(others, count, at);
    if (waiting > 0 && plan.reaches(instance.fork, at, end)) found += waiting;
    return false;
  });
  return found;
}

function waitedFor(others: readonly number[], count: number, at: number): number {
  return others.includes(at) ? count - 1 : count;
}

/** The barrier itself is counted at its own end and is no candidate of its own, nor are those that wait for it (B5). */
function notWaitedFor(plan: Plan, instance: Pick<Instance, "fork" | "barriers">, end: number): readonly number[] {
  return instance.barriers.flatMap((other) =>
    other.end === end || waitsForIt(plan, instance, other.end, end) ? [other.end] : [],
  );
}

/** Would the barrier at `other` wait for the one at `end`, which comes first (B5)? */
function waitsForIt(plan: Plan, instance: Pick<Instance, "fork">, other: number, end: number): boolean {
  return plan.rank(other) > plan.rank(end) && plan.reaches(instance.fork, end, other);
}

export type Candidate =
  | { readonly branch: Branch; readonly at: number }
  | { readonly barrier: Barrier; readonly holder: Instance; readonly at: number };

/** The same, one by one. Costs a walk over the run's branches; `hasCandidate` does not. */
export function candidates(draft: Draft, instance: Instance, end: number): Candidate[] {
  const { plan, run } = draft;
  const waits = (late: readonly BarrierKey[], at: number): boolean =>
    plan.reaches(instance.fork, at, end) && !late.some((key) => key.instance === instance.id && key.end === end);
  const found: Candidate[] = [];
  for (const branch of run.branches.values()) {
    if (waits(branch.late, branch.node) && isInside(draft, branch.instance, instance.id))
      found.push({ branch, at: branch.node });
  }
  for (const holder of run.instances.values()) {
    if (holder.barriers.length === 0 || !isInside(draft, holder.id, instance.id)) continue;
    for (const barrier of holder.barriers) {
      const none = holder.id === instance.id && (barrier.end === end || waitsForIt(plan, instance, barrier.end, end));
      if (!none && waits(lateOf(barrier), barrier.end)) found.push({ barrier, holder, at: barrier.end });
    }
  }
  return found;
}

function isInside(draft: Draft, instance: number, around: number): boolean {
  for (const one of draft.chain(instance)) if (one.id === around) return true;
  return false;
}

/** The marks that what fires here will carry: its own, and those all of its arrivals have. */
export function lateOf(barrier: Barrier): readonly BarrierKey[] {
  const [first, ...others] = barrier.arrivals;
  if (first === undefined) return barrier.late;
  const shared = first.late.filter((key) =>
    others.every((other) => other.late.some((k) => k.instance === key.instance && k.end === key.end)),
  );
  return [...barrier.late, ...shared];
}

// --- decisions

export type BarrierVerdict = "wait" | "fire" | "insufficient";

export function decideBarrier(draft: Draft, instance: Instance, barrier: Barrier): BarrierVerdict {
  if (barrier.asking) return "wait";
  const arrived = barrier.arrivals.length;
  const { quorum, minRatio = 1 } = policyAt(draft, barrier.end);
  if (quorum !== undefined) {
    if (arrived >= quorum) return "fire";
    const left = candidates(draft, instance, barrier.end);
    const canStillMeet =
      arrived + left.length >= quorum || left.some((c) => draft.plan.mayFork(c.at, barrier.end, instance.fork));
    return left.length > 0 && canStillMeet ? "wait" : "insufficient";
  }
  if (hasCandidate(draft, instance, barrier)) return "wait";
  return arrived / (arrived + barrier.failed) >= minRatio ? "fire" : "insufficient";
}

/** What fires goes on from here: the caller starts one branch at the end's node. */
export interface Fired {
  readonly instance: Instance;
  readonly end: number;
  readonly parent: number;
  readonly order: readonly number[];
  readonly late: readonly BarrierKey[];
  readonly arrivals: readonly Arrival[];
}

/** Closes the barrier as fired, settles those left out, and says what goes on. */
export function fire(draft: Draft, instance: Instance, barrier: Barrier): Fired {
  const arrivals = barrier.arrivals.toArray().sort((a, b) => compareOrder(a.order, b.order));
  if (barrier.failed > 0) {
    draft.run.partial = true;
    for (const name of barrier.missing) draft.noteOnce("missing", name);
  }
  closeBarrier(draft, instance, barrier, "fired");
  settleRest(draft, instance.id, barrier.end);
  return {
    instance: draft.instance(instance.id),
    end: barrier.end,
    parent: instance.owner,
    order: arrivals[0]?.order ?? instance.base,
    late: lateOf(barrier),
    arrivals: arrivals.map((a) => a.arrival),
  };
}

/** The barrier asks a person and stays open. */
export function askAtBarrier(draft: Draft, instance: Instance, barrier: Barrier): void {
  draft.putBarrier(instance.id, { ...barrier, asking: true });
  askInsufficient(
    draft,
    draft.nodeName(draft.plan.nodeOf(barrier.end)),
    { barrier: { instance: instance.id, end: barrier.end } },
    barrier.missing,
    wantsAll(policyAt(draft, barrier.end)) ? undefined : wantedAt(draft, instance, barrier),
  );
  draft.events.push(firedEvent(draft, instance, barrier, "asked"));
}

function wantedAt(draft: Draft, instance: Instance, barrier: Barrier): string {
  const { plan } = draft;
  return wantedText({
    node: draft.nodeName(plan.nodeOf(barrier.end)),
    policy: policyAt(draft, barrier.end),
    barrier,
    onTheWay: candidates(draft, instance, barrier.end).map(({ at }) => draft.nodeName(plan.nodeOf(at))),
  });
}

/** Closes the barrier as failed; the failure goes on to what waits beyond it. `outside`: where a return point leads. */
export function failBarrier(draft: Draft, instance: Instance, barrier: Barrier, outside: number): void {
  const { plan } = draft;
  const node = draft.nodeName(plan.nodeOf(barrier.end));
  const { arrivals, failed, missing } = barrier;
  const message =
    wantsAll(policyAt(draft, barrier.end)) && failed > 0
      ? `${arrivals.length} of ${arrivals.length + failed} branches arrived at ${node}; missing: ${missing.toSorted().join(", ")}`
      : wantedAt(draft, instance, barrier);
  for (const name of missing) draft.noteOnce("missing", name);
  closeBarrier(draft, instance, barrier, "failed");
  settleRest(draft, instance.id, barrier.end);
  const context = plan.isReturn(barrier.end) ? outside : instance.id;
  const place = (failure: { node: string }): number => plan.nodeByName.get(failure.node) ?? plan.nodes.length;
  const first = barrier.failures.toSorted((a, b) => place(a) - place(b))[0];
  const error: ErrorData = {
    code: "ORCH_CONVERGENCE",
    message,
    node,
    ...(first === undefined ? {} : { cause: first.error }),
  };
  // Onward means forward: through a loop that stays in the instance the failure would come back here for ever.
  const from = plan.nodeOf(barrier.end);
  const onward = (_fork: number, _at: number, end: number): boolean =>
    (plan.isReturn(barrier.end) && end === from) || plan.before(from, end);
  countFailure(draft, instance.frame, nearestBarriers(draft, context, barrier.end, lateOf(barrier), onward), {
    node,
    error,
  });
}

function closeBarrier(draft: Draft, instance: Instance, barrier: Barrier, decision: "fired" | "failed"): void {
  const holder = draft.instance(instance.id);
  draft.putInstance({ ...holder, decided: { ...holder.decided, [barrier.end]: barrier.generation } });
  draft.dropBarrier(holder, barrier.end);
  draft.events.push(firedEvent(draft, instance, barrier, decision));
}

/** Candidates of a decision that came without them: those that can only lead here are cancelled, others marked. */
function settleRest(draft: Draft, instanceId: number, end: number): void {
  const instance = draft.instance(instanceId);
  if (instance.total === 0) return;
  const { plan } = draft;
  for (const candidate of candidates(draft, instance, end)) {
    const bound = plan.mustReach(candidate.at, end);
    if ("branch" in candidate) {
      if (!draft.run.branches.has(candidate.branch.id)) continue;
      if (bound) draft.endBranch(candidate.branch.id, "cancelled");
      else
        draft.putBranch({
          ...draft.branch(candidate.branch.id),
          late: [...candidate.branch.late, { instance: instanceId, end }],
        });
    } else if (bound) {
      draft.cancelBarrier(candidate.holder, candidate.barrier);
    } else {
      draft.putBarrier(candidate.holder.id, {
        ...candidate.barrier,
        late: [...candidate.barrier.late, { instance: instanceId, end }],
      });
    }
    if (!bound) draft.putInstance({ ...draft.instance(instanceId), marked: true });
  }
}

/** The convergence timeout: what has not arrived ends `timed_out` and counts as failed here and at what else it was nearest to. */
export function timeOutBarrier(draft: Draft, instance: Instance, barrier: Barrier): void {
  const { plan } = draft;
  const here = { instance: instance.id, end: barrier.end };
  for (const candidate of candidates(draft, instance, barrier.end)) {
    const node = draft.nodeName(plan.nodeOf(candidate.at));
    const error: ErrorData = {
      code: "ORCH_TIMEOUT",
      message: `${node} did not reach ${draft.nodeName(plan.nodeOf(barrier.end))} in time`,
      node,
    };
    draft.noteOnce("timedOut", node);
    if ("branch" in candidate) {
      const { branch } = candidate;
      if (!draft.run.branches.has(branch.id)) continue;
      const others = nearestBarriers(draft, branch.instance, candidate.at, branch.late).filter(
        (key) => key.end !== barrier.end && !plan.before(key.end, barrier.end),
      );
      for (const key of [here, ...others]) addFailure(draft, key, { node, error });
      draft.endBranch(branch.id, "timed_out", { error });
    } else {
      addFailure(draft, here, { node, error });
      draft.cancelBarrier(candidate.holder, candidate.barrier);
    }
  }
  draft.touch(instance.id);
}

/** Fork order: element by element, the shorter first. */
export function compareOrder(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}
