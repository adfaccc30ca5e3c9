// Draft
//
// The working copy of a run during one reduction, and the moves that keep its books: who lives where, what
// stands at which end, which steps are out. Everything it replaces is a new object; what a state shares with
// the one before it is never changed.
//
// D1  `live` of a frame counts its branches and undecided barriers; a frame with none is due to end.
// D2  `standing` of an instance counts every live branch and undecided barrier in it and in instances nested
//     in it, by the end they stand at. What changes it marks the instance as touched.
// D3  Frames, barriers, instances and the run itself are only closed while settling, never in the middle of a move:
//     a move that hands out several steps goes to its end even when the first of them is refused.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import { stepIdOf } from "../base/ids.ts";
import type { Plan } from "../topology/plan.ts";
import type { BranchStatus, Effect, KernelEvent, Question, StepInput, TerminalReason } from "./effects.ts";
import { copyOfBranch, copyOfRun, copyOfSession, type Mutable } from "./copies.ts";
import { IntMap } from "./int-map.ts";
import type { Barrier, Branch, Frame, Instance, RunState, SessionState } from "./session-state.ts";

export class Draft {
  readonly plan: Plan;
  readonly atMs: number;
  readonly session: Mutable<SessionState>;
  readonly run: Mutable<RunState>;
  readonly effects: Effect[] = [];
  readonly events: KernelEvent[] = [];
  /** Instances whose barriers may have become decidable. */
  touched: Set<number> | undefined;
  /** Frames that may have come to their end. */
  readonly emptied: number[] = [];
  /** A step was refused: the run ends by this while settling. */
  refused: { readonly error: ErrorData; readonly reason: TerminalReason } | null = null;
  /** Questions or barriers changed, so clocks may have to stop or go on. */
  clocks = false;
  /** The counts by node, once they are a copy of this draft's own: a fork hands out a thousand steps in one reduction. */
  #invocations: number[] | undefined;
  /** Children of a fork whose first move is already shown by their start. */
  #unmoved: Set<number> | undefined;

  constructor(session: SessionState, run: RunState, plan: Plan, atMs: number) {
    this.plan = plan;
    this.atMs = atMs;
    this.session = copyOfSession(session);
    this.run = copyOfRun(run);
  }

  nodeName(node: number): string {
    return this.plan.nodes[node]!.name;
  }

  branch(id: number): Branch {
    return found(this.run.branches.get(id), "branch", id);
  }

  frame(id: number): Frame {
    return found(this.run.frames.get(id), "frame", id);
  }

  instance(id: number): Instance {
    return found(this.run.instances.get(id), "instance", id);
  }

  stepId(step: number): string {
    return stepIdOf(this.run.seq, this.session.generation, step);
  }

  putBranch(branch: Branch): Branch {
    this.run.branches = this.run.branches.set(branch.id, branch);
    return branch;
  }

  putFrame(frame: Frame): Frame {
    this.run.frames = this.run.frames.set(frame.id, frame);
    return frame;
  }

  putInstance(instance: Instance): Instance {
    this.run.instances = this.run.instances.set(instance.id, instance);
    return instance;
  }

  /** The instances around `instance`, innermost first. All belong to one frame. */
  chain(instance: number): readonly Instance[] {
    if (instance === 0) return NO_INSTANCES;
    const around: Instance[] = [];
    for (let id = instance; id !== 0;) {
      const found = this.instance(id);
      around.push(found);
      id = found.parent;
    }
    return around;
  }

  /** Counts `delta` at `end` in an instance and all around it (D2). */
  stand(instance: number, end: number, delta: 1 | -1): void {
    for (let id = instance; id !== 0;) {
      const around = this.instance(id);
      id = around.parent;
      const count = (around.standing.get(end) ?? 0) + delta;
      const standing = count === 0 ? around.standing.delete(end) : around.standing.set(end, count);
      this.putInstance({ ...around, standing, total: around.total + delta });
      this.touch(around.id);
    }
  }

  /** The same as both counts one after the other, in half the copies: most moves stay inside their instance. */
  #restand(instance: number, from: number, to: number): void {
    for (let id = instance; id !== 0;) {
      const around = this.instance(id);
      id = around.parent;
      const left = (around.standing.get(from) ?? 0) - 1;
      const without = left === 0 ? around.standing.delete(from) : around.standing.set(from, left);
      this.putInstance({ ...around, standing: without.set(to, (without.get(to) ?? 0) + 1) });
      this.touch(around.id);
    }
  }

  touch(instance: number): void {
    (this.touched ??= new Set()).add(instance);
  }

  addLive(frame: number, delta: 1 | -1): void {
    const changed = this.putFrame({ ...this.frame(frame), live: this.frame(frame).live + delta });
    if (changed.live === 0) this.emptied.push(frame);
  }

  /** A new branch, standing at `node`. It has no phase yet. */
  startBranch(
    from: Pick<Branch, "parent" | "frame" | "instance" | "order" | "node" | "input"> & Partial<Branch>,
    shown: { node: number } = from,
  ): Branch {
    const branch: Branch = {
      enteredByCall: false,
      mustAnswer: false,
      notify: false,
      conversed: NONE,
      late: NONE,
      phase: IDLE,
      ...from,
      id: this.run.nextBranch++,
    };
    this.putBranch(branch);
    if (shown.node !== branch.node) (this.#unmoved ??= new Set()).add(branch.id);
    this.addLive(branch.frame, 1);
    this.stand(branch.instance, branch.node, 1);
    this.events.push({
      type: "branch.started",
      branchId: branchName(branch.id),
      parentId: branch.parent === null ? null : branchName(branch.parent),
      node: this.nodeName(shown.node),
      input: branch.input,
    });
    const timeoutMs = this.run.limits.branchTimeoutMs;
    if (timeoutMs !== false && branch.parent !== null) {
      this.armTimer(`branch:${branch.id}`, {
        kind: "branch",
        dueAtMs: this.atMs + timeoutMs,
        heldSinceMs: null,
        branch: branch.id,
      });
    }
    return branch;
  }

  /** Moves a branch to another node, and if given into another instance, and clears its phase. */
  moveBranch(branch: Branch, node: number, into: { instance: number; order: readonly number[] } = branch): Branch {
    if (into.instance === branch.instance) this.#restand(branch.instance, branch.node, node);
    else {
      this.stand(branch.instance, branch.node, -1);
      this.stand(into.instance, node, 1);
    }
    if (this.#unmoved?.delete(branch.id) !== true) {
      this.events.push({
        type: "branch.moved",
        branchId: branchName(branch.id),
        from: this.nodeName(branch.node),
        node: this.nodeName(node),
      });
    }
    const moved = copyOfBranch(branch);
    moved.node = node;
    moved.instance = into.instance;
    moved.order = into.order;
    moved.enteredByCall = false;
    moved.mustAnswer = false;
    moved.conversed = NONE;
    moved.phase = IDLE;
    return this.putBranch(moved);
  }

  /** Ends a branch with all that hangs on it: its step, its question, the frames it waits for. */
  endBranch(id: number, status: BranchStatus, end: { value?: Stored; error?: ErrorData } = {}): void {
    const branch = this.branch(id);
    this.dropWork(branch);
    this.run.branches = this.run.branches.delete(id);
    this.stand(branch.instance, branch.node, -1);
    if (this.run.limits.branchTimeoutMs !== false) this.disarmTimer(`branch:${id}`);
    this.events.push({ type: "branch.ended", branchId: branchName(id), status, ...end });
    this.addLive(branch.frame, -1);
  }

  /** Takes a barrier off its instance; its arrivals have ended before. */
  dropBarrier(instance: Instance, end: number): void {
    this.putInstance({
      ...this.instance(instance.id),
      barriers: this.instance(instance.id).barriers.filter((b) => b.end !== end),
    });
    this.disarmTimer(convergenceTimer(instance.id, end));
    this.run.questions
      .filter((q) => q.barrier?.instance === instance.id && q.barrier.end === end)
      .forEach((q) => this.withdraw(q.questionId));
    this.stand(instance.id, end, -1);
    this.addLive(instance.frame, -1);
  }

  /** A barrier that has not decided goes with what it belongs to; who arrived there is told of, and no more. */
  cancelBarrier(instance: Instance, barrier: Barrier): void {
    this.dropBarrier(instance, barrier.end);
    this.events.push(firedEvent(this, instance, barrier, "cancelled"));
  }

  putBarrier(instance: number, barrier: Barrier): void {
    const holder = this.instance(instance);
    const known = holder.barriers.some((b) => b.end === barrier.end);
    const barriers = known
      ? holder.barriers.map((b) => (b.end === barrier.end ? barrier : b))
      : [...holder.barriers, barrier];
    this.putInstance({ ...holder, barriers });
    if (known) {
      this.touch(instance);
      return;
    }
    this.stand(instance, barrier.end, 1);
    this.addLive(holder.frame, 1);
  }

  /** Cancels every branch and barrier of a frame, the frames called from it included. */
  cancelFrame(id: number, status: BranchStatus = "cancelled"): void {
    const members = [...this.run.branches.values()].filter((b) => b.frame === id);
    for (const branch of members) this.endBranch(branch.id, status);
    const instances = [...this.run.instances.values()].filter((instance) => instance.frame === id);
    for (const instance of instances) for (const barrier of instance.barriers) this.cancelBarrier(instance, barrier);
    for (const instance of instances) {
      this.run.instances = this.run.instances.delete(instance.id);
      this.touched?.delete(instance.id);
    }
    this.run.questions.filter((q) => q.frame === id).forEach((q) => this.withdraw(q.questionId));
  }

  closeFrame(id: number): void {
    this.run.frames = this.run.frames.delete(id);
  }

  /** Stops what a branch is busy with. */
  dropWork(branch: Branch): void {
    const { phase } = branch;
    if (phase.kind === "step" || phase.kind === "queued" || phase.kind === "suspended") {
      // A step that has just ended is out no more, though its branch is still written down with it.
      if (phase.kind === "step" && this.run.steppers.has(phase.work.step)) {
        this.effects.push({ type: "step.abort", stepId: this.stepId(phase.work.step), reason: "cancelled" });
        this.events.push({
          type: "step.cancelled",
          stepId: this.stepId(phase.work.step),
          branchId: branchName(branch.id),
          node: this.nodeName(branch.node),
          attempt: phase.work.attempt,
        });
      }
      this.run.steppers = this.run.steppers.delete(phase.work.step);
      this.run.queue = this.run.queue.filter((waiting) => waiting !== branch.id);
    }
    if (phase.kind === "asking" || phase.kind === "suspended") {
      this.run.questions.filter((q) => q.branch === branch.id).forEach((q) => this.withdraw(q.questionId));
    }
    if (phase.kind === "calling" || phase.kind === "conversing") {
      for (const frame of [...this.run.frames.values()]) {
        if (frame.owner !== branch.id) continue;
        this.cancelFrame(frame.id);
        this.closeFrame(frame.id);
      }
    }
  }

  withdraw(questionId: string): void {
    this.closeQuestion(questionId);
    this.effects.push({ type: "question.withdraw", questionId });
  }

  /** It is open no more. */
  closeQuestion(questionId: string): void {
    const closed = this.run.questions.find((q) => q.questionId === questionId);
    if (closed !== undefined) this.effects.push(...disarmed(closed));
    this.run.questions = this.run.questions.filter((q) => q !== closed);
    this.clocks = true;
  }

  armTimer(timerId: string, timer: RunState["timers"][string]): void {
    this.run.timers = { ...this.run.timers, [timerId]: timer };
    this.effects.push({ type: "timer.arm", timerId, dueAtMs: timer.dueAtMs });
    this.clocks = true;
  }

  disarmTimer(timerId: string): void {
    if (this.run.timers[timerId] === undefined) return;
    const { [timerId]: _gone, ...timers } = this.run.timers;
    this.run.timers = timers;
    this.effects.push({ type: "timer.disarm", timerId });
  }

  countInvocation(node: number): void {
    if (this.#invocations === undefined || this.run.invocations !== this.#invocations)
      this.run.invocations = this.#invocations = this.run.invocations.slice();
    this.#invocations[node] = (this.#invocations[node] ?? 0) + 1;
  }

  noteOnce(list: "boundsHit" | "missing" | "timedOut", name: string): void {
    if (!this.run[list].includes(name)) this.run[list] = [...this.run[list], name];
  }
}

const NO_INSTANCES: readonly Instance[] = Object.freeze([]);
/** Shared by the many branches that have none of something. */
const NONE: readonly never[] = Object.freeze([]);
const IDLE = Object.freeze({ kind: "idle" } as const);

function found<T>(value: T | undefined, what: string, id: number): T {
  if (value === undefined) throw new TypeError(`${what} ${id} is not there`);
  return value;
}

export function branchName(id: number): string {
  return `b${id}`;
}

export function barrierName(plan: Plan, instance: number, end: number, generation: number): string {
  return `i${instance}/${plan.nodes[plan.nodeOf(end)]!.name}${plan.isReturn(end) ? "↩" : ""}#${generation}`;
}

/** What a barrier's decision shows as. */
export function firedEvent(
  draft: Draft,
  instance: Instance,
  barrier: Barrier,
  decision: Extract<KernelEvent, { type: "barrier.fired" }>["decision"],
): KernelEvent {
  return {
    type: "barrier.fired",
    barrierId: barrierName(draft.plan, instance.id, barrier.end, barrier.generation),
    node: draft.nodeName(draft.plan.nodeOf(barrier.end)),
    arrived: barrier.arrivals.length,
    failed: barrier.failed,
    decision,
    missing: barrier.missing,
  };
}

/** Of the timer of a question; what follows is the question's id. */
export const QUESTION_TIMER = "question:";

/** Puts a question to people, for as long as it may take. */
export function asked(question: Question): Effect[] {
  const { questionId, dueAtMs } = question;
  const ask: Effect = { type: "question.ask", question };
  return dueAtMs === undefined ? [ask] : [ask, { type: "timer.arm", timerId: QUESTION_TIMER + questionId, dueAtMs }];
}

export function disarmed({ questionId, dueAtMs }: Question): Effect[] {
  return dueAtMs === undefined ? [] : [{ type: "timer.disarm", timerId: QUESTION_TIMER + questionId }];
}

export function convergenceTimer(instance: number, end: number): string {
  return `convergence:${instance}:${end}`;
}

/** A fork's own record of its branches: nothing stands in it yet. */
export function openInstance(draft: Draft, by: Branch, targets: readonly number[] | null): Instance {
  const parent = by.instance === 0 ? null : draft.instance(by.instance);
  return draft.putInstance({
    id: draft.run.nextInstance++,
    frame: by.frame,
    parent: by.instance,
    owner: by.id,
    fork: by.node,
    targets,
    base: by.order,
    depth: parent === null ? 1 : parent.depth + 1,
    standing: IntMap.empty<number>(),
    total: 0,
    barriers: [],
    decided: {},
    marked: false,
  });
}

export function listOf(values: readonly Stored[]): Stored {
  return values.length === 1 ? values[0]! : { list: values };
}

export function inputOf(value: Stored): StepInput {
  return { kind: "value", value };
}
