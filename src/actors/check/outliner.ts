// Outlines
//
// The part of a run that decides how it can go on, and as text its fingerprint: two states with the same fingerprint have the same
// futures, so that a search looks at one of them only.
//
// F1  Values, times, names and numbers of branches, frames, instances and steps are left out of it; what hangs on
//     one another is nested instead, and what stands side by side is sorted.
// F2  Fork order is left out: it orders values and nothing else.
// F3  A count is kept only as far as a decision can tell: "any or none" where everything must arrive, up to the
//     quorum where there is one, exactly where a ratio decides. So a loop that delivers again and again comes back to where it was.
//     What a failure or an empty frame will be called after, the first node by declared order, is kept.
// F4  Twins (twins.ts) go by one name.
// F5  A `late` mark counts while its branch is inside the instance it speaks of.
// F6  It is put together from levels, one inside the other, so that what a change to one of them makes of the whole can be
//     told without the others (local-moves.ts). What has no parts is one letter of an alphabet that grows as a search goes on, so
//     that a fingerprint is short.

import type { ErrorData } from "../../base/errors.ts";
import type { Plan } from "../../topology/plan.ts";
import type { ConvergencePolicy } from "../../topology/types.ts";
import { lateOf } from "../barriers.ts";
import type { Barrier, BarrierKey, Branch, Frame, Instance, RunState, StepWork } from "../session-state.ts";
import { Letters } from "./letters.ts";
import { slotOf, type Level, type Outline, type OutlinedBranch } from "./outline.ts";
import { Standing } from "./standing.ts";

/** Outlines of runs of one plan: equal fingerprints are of equal states only among those that one of these made. */
export class Outliner {
  readonly #plan: Plan;
  readonly #twins: readonly number[];
  readonly #letters = new Letters();

  constructor(plan: Plan, twins: readonly number[]) {
    this.#plan = plan;
    this.#twins = twins;
  }

  of(run: RunState): Outline {
    return new Outlining(run, this.#plan, this.#twins, this.#letters, true).outline();
  }

  fingerprint(run: RunState): string {
    return new Outlining(run, this.#plan, this.#twins, this.#letters, false).text();
  }
}

class Outlining {
  readonly #run: RunState;
  readonly #plan: Plan;
  readonly #twins: readonly number[];
  readonly #letters: Letters;
  readonly #alive: Branch[] = [];
  readonly #instances: Instance[] = [];
  readonly #frames: Frame[] = [];
  /** Not only the text is wanted. */
  readonly #writesDown: boolean;
  readonly #levels: Level[] = [];
  readonly #branches: OutlinedBranch[] = [];

  constructor(run: RunState, plan: Plan, twins: readonly number[], letters: Letters, writesDown: boolean) {
    this.#run = run;
    this.#plan = plan;
    this.#twins = twins;
    this.#letters = letters;
    this.#writesDown = writesDown;
  }

  text(): string {
    const { end } = this.#run;
    return end === null ? this.#root() : this.#letters.of(this.#ended(end));
  }

  outline(): Outline {
    const run = this.#run;
    const { nextBranch, nextFrame, nextInstance } = run;
    return {
      text: this.text(),
      levels: this.#levels,
      branches: this.#branches.sort((a, b) => a.id - b.id),
      questions: run.questions.filter(({ kind }) => kind === "insufficient"),
      nextBranch,
      nextFrame,
      nextInstance,
    };
  }

  #ended({ status, error }: NonNullable<RunState["end"]>): string {
    return `end ${status}${error === null ? "" : this.#error(error)}`;
  }

  #root(): string {
    const run = this.#run;
    run.branches.find((branch) => keep(this.#alive, branch));
    run.instances.find((instance) => keep(this.#instances, instance));
    run.frames.find((frame) => keep(this.#frames, frame));
    const used = Object.entries(run.visits);
    const close = used.length === 0 ? "" : `|${used.map(([id, times]) => `${id}:${times}`).join()}`;
    const parts = this.#framesOf(null, slotOf.run);
    return this.#level({ slot: slotOf.run, up: slotOf.run, open: "", parts, close }, () => ({
      key: run.boundsHit.length === 0 ? close : close + JSON.stringify(run.boundsHit),
    }));
  }

  /** Of the frames that a branch waits for, or of those that nobody does. */
  #framesOf(owner: number | null, slot: number): string[] {
    const parts: string[] = [];
    for (const frame of this.#frames) if (frame.owner === owner) parts.push(this.#frame(slot, frame));
    return parts;
  }

  /** Gives the text of a level, and writes it down with the rest if that is wanted. */
  #level(
    level: Pick<Level, "slot" | "up" | "open" | "close"> & { readonly parts: string[] },
    rest: () => Pick<Level, "key"> & Partial<Level>,
  ): string {
    const body = level.parts.length === 1 ? level.parts[0]! : level.parts.sort().join("");
    const open = this.#letters.of(level.open);
    const close = level.close === CLOSED ? CLOSED : this.#letters.of(level.close);
    const text = open + body + close;
    if (this.#writesDown)
      this.#levels.push({ left: 0, instance: null, caller: -1, ...level, ...rest(), open, close, body, text });
    return text;
  }

  #frame(up: number, frame: Frame): string {
    const slot = slotOf.frame(frame.id);
    const open = this.#frameHead(frame);
    return this.#level({ slot, up, open, parts: this.#inside(slot), close: CLOSED }, () => ({
      key: `${frame.node}^${frame.callers.join()}${this.#takenIn(frame)}${open}`,
      left: frame.live,
    }));
  }

  /** Whose failure, or whose end undelivered, comes first. */
  #takenIn({ failures, skipped }: Frame): string {
    const { nodeByName } = this.#plan;
    if (failures.length > 0) {
      const { node, error } = this.#first(failures);
      return `@${nodeByName.get(node)}@${nodeByName.get(error.node ?? node)}`;
    }
    return skipped.length > 0 ? `/${nodeByName.get(this.#firstSkipped(skipped))}` : "";
  }

  #firstSkipped(skipped: readonly string[]): string {
    return this.#first(skipped.map((node) => ({ node }))).node;
  }

  /** By declared order of nodes. */
  #first<T extends { readonly node: string }>(items: readonly T[]): T {
    let first = items[0]!;
    const { nodeByName } = this.#plan;
    for (const item of items) if (nodeByName.get(item.node)! < nodeByName.get(first.node)!) first = item;
    return first;
  }

  #frameHead(frame: Frame): string {
    const { callers } = frame;
    const called =
      callers.length === 0
        ? ""
        : `^${[...new Set(callers.map((node) => this.#twins[node]!))].sort((a, b) => a - b).join()}`;
    switch (frame.kind) {
      case "notify":
        return `n${called}(`;
      case "conversation":
        return `t${frame.edge!}.${frame.turns!}${called}${this.#taken(frame)}(`;
      default:
        return `${frame.kind === "run" ? "r" : "c"}${called}${this.#taken(frame)}${frame.asking === true ? "?" : ""}(`;
    }
  }

  #taken(frame: Frame): string {
    const { deliveries, failed, failures, skipped } = frame;
    const taken = counts(deliveries.length, failed, this.#run.limits.convergencePolicy.minRatio);
    if (failures.length > 0) return taken + this.#error(this.#first(failures).error);
    return deliveries.length > 0 || skipped.length === 0 ? taken : `/${this.#nodeCalled(this.#firstSkipped(skipped))}`;
  }

  #error({ code, node }: ErrorData): string {
    return `@${code}@${node === undefined ? "" : this.#nodeCalled(node)}`;
  }

  #nodeCalled(name: string): number {
    return this.#twins[this.#plan.nodeByName.get(name)!]!;
  }

  /** What stands directly in an instance, or in a frame outside all instances. */
  #inside(slot: number): string[] {
    const parts: string[] = [];
    for (const branch of this.#alive) if (slotOf.branch(branch) === slot) parts.push(this.#branch(slot, branch));
    for (const one of this.#instances) if (slotOf.instanceIn(one) === slot) parts.push(this.#instance(slot, one));
    return parts;
  }

  #instance(up: number, { id, fork, targets, barriers, standing, total, marked }: Instance): string {
    const ends = barriers.length === 0 ? "" : sorted(barriers.map((barrier) => this.#barrier(id, barrier)));
    const by =
      targets === null
        ? ""
        : `:${targets
            .map((node) => this.#twins[node]!)
            .sort((a, b) => a - b)
            .join()}`;
    const open = `${this.#twins[fork]!}${by}[${ends}](`;
    const slot = slotOf.instance(id);
    return this.#level({ slot, up, open, parts: this.#inside(slot), close: CLOSED }, () => ({
      key: marked ? null : `${fork} ${targets?.join() ?? ""}${open}`,
      left: total,
      instance: { fork, targets, barriers, standing: Standing.of(standing) },
    }));
  }

  #barrier(instance: number, barrier: Barrier): string {
    const policy: ConvergencePolicy =
      this.#plan.nodes[this.#plan.nodeOf(barrier.end)]!.policy ?? this.#run.limits.convergencePolicy;
    const taken = counts(barrier.arrivals.length, barrier.failed, policy.quorum === undefined ? policy.minRatio : -1);
    // Marks that only some arrivals share go when it fires, so the shared ones say it all. Without arrivals none is shared yet.
    return `${barrier.end}${taken}${barrier.asking ? "?" : ""}${this.#late(lateOf(barrier), instance)}`;
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

  #branch(slot: number, branch: Branch): string {
    const { id, node, phase, conversed } = branch;
    const by = branch.enteredByCall ? (branch.mustAnswer ? "=" : "<") : "";
    const held = conversed.length === 0 ? "" : `~${conversed.toSorted((a, b) => a - b).join("~")}`;
    const head = `${this.#twins[node]!}${by}${held}${this.#late(branch.late, branch.instance)}`;
    const told = (): string => by + held + (branch.notify ? "n" : "");
    switch (phase.kind) {
      case "step":
      case "asking": {
        const does = phase.kind === "step" ? (phase.work.woken ? "w" : "") : this.#asks(phase.questionId, phase.work);
        const part = this.#letters.of(head + does);
        if (this.#writesDown) {
          const key = does.startsWith(RECOVERY) ? null : told() + does;
          this.#branches.push({ id, slot, stands: { node, part, key } });
        }
        return part;
      }
      case "conversing":
        return this.#waiting(slot, branch, `${head}t{`, told);
      case "calling":
        return this.#waiting(slot, branch, `${head}${this.#calls(phase.calls)}{`, told);
      default:
        throw new TypeError(`a branch that is ${phase.kind} is never looked at`);
    }
  }

  #asks(questionId: string, work: StepWork | undefined): string {
    const question = this.#run.questions.find((q) => q.questionId === questionId);
    const woken = work?.woken === true ? "w" : "";
    if (question?.kind === "recovery") return `${RECOVERY}${woken}${this.#error(question.error!)}`;
    return `${question?.kind === "node" ? "u" : "a"}${question?.dueAtMs === undefined ? "" : "!"}`;
  }

  /** A branch with the frames it waits for. */
  #waiting(up: number, { id, node }: Branch, open: string, told: () => string): string {
    const slot = slotOf.caller(id);
    const parts = this.#framesOf(id, slot);
    return this.#level({ slot, up, open, parts, close: CLOSED }, () => ({
      key: `${node}${told()} ${open}`,
      caller: node,
    }));
  }

  #calls({ mode, targets, next, replies }: Calls): string {
    let good = 0;
    let bad = 0;
    let error = "";
    for (const reply of replies) {
      if (reply === null) continue;
      if (!("error" in reply)) good++;
      else if (bad++ === 0) error = this.#error(reply.error);
    }
    const { minRatio = 1 } = this.#run.limits.convergencePolicy;
    const of = minRatio === 1 ? "" : targets.length;
    const ahead = mode === "parallel" ? `p${of}` : `s${next}>${targets.map((t) => `${t.edge}.${t.node}`).join()}`;
    return `${ahead}${counts(good, bad, minRatio)}${error}`;
  }
}

type Calls = Extract<Branch["phase"], { kind: "calling" }>["calls"];

const RECOVERY = "r";
/** Is no letter. */
const CLOSED = ")";

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
