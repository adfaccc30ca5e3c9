// Fingerprints
//
// The part of a run that decides how it can go on, as text: two states with the same fingerprint have the same
// futures, so that a search looks at one of them only.
//
// F1  Values, times, names and numbers of branches, frames, instances and steps are left out; what hangs on
//     one another is nested instead, and what stands side by side is sorted.
// F2  Fork order is left out: it orders values and nothing else.
// F3  A count is kept only as far as a decision can tell: "any or none" where everything must arrive, up to the
//     quorum where there is one, exactly where a ratio decides. So a loop that delivers again and again comes back to where it was.
//     What a failure or an empty frame will be called after, the first node by declared order, is kept.
// F4  Twins (twins.ts) go by one name.
// F5  A `late` mark counts while its branch is inside the instance it speaks of.

import type { ErrorData } from "../../base/errors.ts";
import type { Plan } from "../../topology/plan.ts";
import type { ConvergencePolicy } from "../../topology/types.ts";
import { lateOf } from "../barriers.ts";
import type { Barrier, BarrierKey, Branch, Frame, Instance, RunState } from "../session-state.ts";

export class Fingerprint {
  readonly #run: RunState;
  readonly #plan: Plan;
  readonly #twins: readonly number[];
  readonly #branches: Branch[] = [];
  readonly #instances: Instance[] = [];
  readonly #frames: Frame[] = [];

  constructor(run: RunState, plan: Plan, twins: readonly number[]) {
    this.#run = run;
    this.#plan = plan;
    this.#twins = twins;
    run.branches.find((branch) => keep(this.#branches, branch));
    run.instances.find((instance) => keep(this.#instances, instance));
    run.frames.find((frame) => keep(this.#frames, frame));
  }

  /** Of the whole run. */
  run(): string {
    const { end, visits } = this.#run;
    if (end !== null) return `end ${end.status}${end.error === null ? "" : this.#error(end.error)}`;
    const told: string[] = [];
    for (const frame of this.#frames) if (frame.owner === null) told.push(this.#frame(frame));
    const root = sorted(told);
    const used = Object.entries(visits);
    return used.length === 0 ? root : `${root}|${used.map(([id, times]) => `${id}:${times}`).join()}`;
  }

  /** Of one branch: two that have the same can be taken for one another. */
  branch(branch: Branch): string {
    if (branch.instance !== 0) return `${branch.instance}/${this.#branch(branch)}`;
    const frame = this.#run.frames.get(branch.frame)!;
    return frame.kind === "call" ? `${frame.owner!}<${this.#frame(frame)}` : `${frame.id}:${this.#branch(branch)}`;
  }

  #frame(frame: Frame): string {
    const inside = this.#inside(frame.id, 0);
    const { callers } = frame;
    const called =
      callers.length === 0
        ? ""
        : `^${[...new Set(callers.map((node) => this.#twins[node]!))].sort((a, b) => a - b).join()}`;
    switch (frame.kind) {
      case "notify":
        return `n${called}(${inside})`;
      case "conversation":
        return `t${frame.edge!}.${frame.turns!}${called}${this.#taken(frame)}(${inside})`;
      default:
        return `${frame.kind === "run" ? "r" : "c"}${called}${this.#taken(frame)}${frame.asking === true ? "?" : ""}(${inside})`;
    }
  }

  #taken({ deliveries, failed, failures, skipped }: Frame): string {
    const taken = counts(deliveries.length, failed, this.#run.limits.convergencePolicy.minRatio);
    if (failures.length > 0) return taken + this.#error(this.#first(failures).error);
    return deliveries.length > 0 || skipped.length === 0
      ? taken
      : `/${this.#nodeCalled(this.#first(skipped.map((node) => ({ node }))).node)}`;
  }

  #first<T extends { readonly node: string }>(items: readonly T[]): T {
    let first = items[0]!;
    const { nodeByName } = this.#plan;
    for (const item of items) if (nodeByName.get(item.node)! < nodeByName.get(first.node)!) first = item;
    return first;
  }

  #error({ code, node }: ErrorData): string {
    return `@${code}@${node === undefined ? "" : this.#nodeCalled(node)}`;
  }

  #nodeCalled(name: string): number {
    return this.#twins[this.#plan.nodeByName.get(name)!]!;
  }

  /** What stands directly in an instance, or in a frame outside all instances. */
  #inside(frame: number, instance: number): string {
    const parts: string[] = [];
    for (const branch of this.#branches)
      if (branch.instance === instance && branch.frame === frame) parts.push(this.#branch(branch));
    for (const one of this.#instances)
      if (one.parent === instance && one.frame === frame) parts.push(this.#instance(one));
    return sorted(parts);
  }

  #instance(instance: Instance): string {
    const { barriers, targets } = instance;
    const ends = barriers.length === 0 ? "" : sorted(barriers.map((barrier) => this.#barrier(instance, barrier)));
    const by =
      targets === null
        ? ""
        : `:${targets
            .map((node) => this.#twins[node]!)
            .sort((a, b) => a - b)
            .join()}`;
    return `${this.#twins[instance.fork]!}${by}[${ends}](${this.#inside(instance.frame, instance.id)})`;
  }

  #barrier(instance: Instance, barrier: Barrier): string {
    const policy: ConvergencePolicy =
      this.#plan.nodes[this.#plan.nodeOf(barrier.end)]!.policy ?? this.#run.limits.convergencePolicy;
    const taken = counts(barrier.arrivals.length, barrier.failed, policy.quorum === undefined ? policy.minRatio : -1);
    // Marks that only some arrivals share go when it fires, so the shared ones say it all. Without arrivals none is shared yet.
    return `${barrier.end}${taken}${barrier.asking ? "?" : ""}${this.#late(lateOf(barrier), instance.id)}`;
  }

  #late(late: readonly BarrierKey[], innermost: number): string {
    if (late.length === 0) return "";
    const marks: string[] = [];
    for (let id = innermost, up = 0; id !== 0; up++) {
      for (const key of late) if (key.instance === id) marks.push(`${up}/${key.end}`);
      id = this.#run.instances.get(id)!.parent;
    }
    return marks.length === 0 ? "" : `!${[...new Set(marks)].sort().join()}`;
  }

  #branch(branch: Branch): string {
    const { phase, conversed } = branch;
    const by = branch.enteredByCall ? (branch.mustAnswer ? "=" : "<") : "";
    const held = conversed.length === 0 ? "" : `~${conversed.toSorted((a, b) => a - b).join("~")}`;
    return `${this.#twins[branch.node]!}${by}${held}${this.#late(branch.late, branch.instance)}${this.#phase(branch, phase)}`;
  }

  #phase(branch: Branch, phase: Branch["phase"]): string {
    switch (phase.kind) {
      case "step":
        return phase.work.woken ? "w" : "";
      case "asking": {
        const question = this.#run.questions.find((q) => q.questionId === phase.questionId);
        if (question?.kind === "recovery") return `r${this.#error(question.error!)}`;
        return `${question?.kind === "node" ? "u" : "a"}${question?.dueAtMs === undefined ? "" : "!"}`;
      }
      case "conversing":
        return `t{${this.#frames.flatMap((frame) => (frame.owner === branch.id ? [this.#frame(frame)] : [])).join()}}`;
      case "calling": {
        const { mode, targets, next, replies } = phase.calls;
        let good = 0;
        let bad = 0;
        let error = "";
        for (const reply of replies) {
          if (reply === null) continue;
          if (!("error" in reply)) good++;
          else if (bad++ === 0) error = this.#error(reply.error);
        }
        const calls = this.#frames.flatMap((frame) => (frame.owner === branch.id ? [this.#frame(frame)] : []));
        const { minRatio = 1 } = this.#run.limits.convergencePolicy;
        const of = minRatio === 1 ? "" : targets.length;
        const ahead = mode === "parallel" ? `p${of}` : `s${next}>${targets.map((t) => `${t.edge}.${t.node}`).join()}`;
        return `${ahead}${counts(good, bad, minRatio)}${error}{${sorted(calls)}}`;
      }
      default:
        throw new TypeError(`a branch that is ${phase.kind} is never looked at`);
    }
  }
}

/** F3. A ratio of -1: exact. */
function counts(arrived: number, failed: number, minRatio = 1): string {
  if (minRatio === 1) return arrived > 0 ? (failed > 0 ? "±" : "+") : failed > 0 ? "-" : "";
  return `+${arrived}-${failed}`;
}

function sorted(parts: string[]): string {
  if (parts.length < 2) return parts[0] ?? "";
  return parts.sort().join(" ");
}

function keep<T>(list: T[], item: T): boolean {
  list.push(item);
  return false;
}
