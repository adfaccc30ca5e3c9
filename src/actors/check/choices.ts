// Choices: everything that can happen next to a run, as facts for the reducer. Values are nothing but the conditions that
// hold of them; time stands still, so that nothing times out; nobody pauses or cancels.

import { stepIdOf } from "../../base/ids.ts";
import type { Stored } from "../../base/stored.ts";
import type { Plan } from "../../topology/plan.ts";
import { waysFrom } from "../commands.ts";
import { Draft } from "../draft.ts";
import type { Fact, Outcome } from "../facts.ts";
import { isSpent } from "../moves.ts";
import type { Branch, OpenQuestion, RunState, SessionState } from "../session-state.ts";
import { edgesToJudge, entryEdgesToJudge } from "../view.ts";
import type { ScheduledEnd } from "./report.ts";

/**
 * How much has to go otherwise than meant: nothing, a node none of whose conditions holds, a failure, a command. A run is as
 * free as the freest choice in it.
 */
export const FREEDOM = { values: 0, noneHeld: 1, failures: 2, commands: 3 } as const;
export type Freedom = (typeof FREEDOM)[keyof typeof FREEDOM];

export interface Choice {
  readonly fact: Fact;
  readonly end: ScheduledEnd;
  /** `noneHeld` is only seen by what follows. */
  readonly freedom: Freedom;
}

/** Where something can happen: a branch with a step or a question, or a question about what is lacking. */
export interface Place {
  readonly branch: Branch | null;
  readonly question: OpenQuestion | null;
}

/** Beyond so many conditions judged at once, not every combination is tried. */
export const CONDITIONS_MAX = 8;

const NOTHING: Stored = Object.freeze({ v: null });
const FAILURE = Object.freeze({ code: "ORCH_AGENT_FAILED", message: "it fails for good" });
const SPENT_MS = 0;

export function placesOf(run: RunState): Place[] {
  const places: Place[] = [];
  run.branches.find((branch) => {
    const { phase } = branch;
    if (phase.kind === "step") places.push({ branch, question: null });
    else if (phase.kind === "asking") {
      const question = run.questions.find((q) => q.questionId === phase.questionId);
      if (question !== undefined) places.push({ branch, question });
    }
    return false;
  });
  for (const question of run.questions) if (question.kind === "insufficient") places.push({ branch: null, question });
  return places;
}

/** That of one branch. */
export function placeOf(run: RunState, id: number): Place {
  const branch = run.branches.get(id)!;
  const { phase } = branch;
  const question =
    phase.kind === "asking" ? (run.questions.find((q) => q.questionId === phase.questionId) ?? null) : null;
  return { branch, question };
}

export class Choices {
  readonly #plan: Plan;
  /** Set once a node has more than `CONDITIONS_MAX` conditions. */
  cutShort = false;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** The conditions of the entry that may hold of the task; one empty set when it has none. */
  ofTask(): { readonly held: readonly number[]; readonly end: ScheduledEnd }[] {
    const node = this.#plan.nodes[this.#plan.entry]!.name;
    return this.#subsets(entryEdgesToJudge(this.#plan)).map((judged) => ({
      held: judged.edges,
      end: { of: "task", id: "", node, end: "value", to: [], held: judged.held, notHeld: judged.notHeld },
    }));
  }

  /** What the values or the failures of one place can be. */
  at(session: SessionState, run: RunState, place: Place, freedom: Freedom): Choice[] {
    const { branch, question } = place;
    switch (freedom) {
      case FREEDOM.values:
        if (question !== null) return this.#answers(session, run, branch, question);
        return branch === null ? [] : this.#values(session, run, branch);
      case FREEDOM.failures:
        if (question !== null) return this.#unanswered(session, run, question);
        return branch === null ? [] : this.#failures(session, run, branch);
      case FREEDOM.commands:
        return question !== null || branch === null ? [] : this.#commands(session, run, branch);
      default:
        return [];
    }
  }

  #values(session: SessionState, run: RunState, branch: Branch): Choice[] {
    const { stepId, ends } = stepOf(session, run, branch, this.#plan);
    return this.#subsets(this.#judgedOnLeaving(session, run, branch, { stepId })).map(({ edges, held, notHeld }) => ({
      fact: succeeded(stepId, branch, { kind: "value", value: NOTHING }, edges),
      end: ends("value", [], held, notHeld),
      freedom: FREEDOM.values,
    }));
  }

  #failures(session: SessionState, run: RunState, branch: Branch): Choice[] {
    const { stepId, attempt, ends } = stepOf(session, run, branch, this.#plan);
    const edges = run.limits.errorRouting ? edgesToJudge(session, { stepId }, "error") : [];
    return this.#subsets(edges).map((judged) => ({
      fact: {
        type: "step.failed",
        stepId,
        attempt,
        class: "permanent",
        error: FAILURE,
        held: judged.edges,
        tookMs: SPENT_MS,
      },
      end: ends("failed", [], judged.held, judged.notHeld),
      freedom: FREEDOM.failures,
    }));
  }

  /** One of each kind of command and addressee; `parallel` to all that are called, and to all that are moved to. */
  #commands(session: SessionState, run: RunState, branch: Branch): Choice[] {
    const { stepId, ends } = stepOf(session, run, branch, this.#plan);
    const draft = new Draft(session, run, this.#plan, session.atMs);
    const ways = [...waysFrom(draft, branch)].filter(([, { edge }]) => !isSpent(draft, edge));
    const command = (outcome: Outcome, to: readonly string[]): Choice => ({
      fact: succeeded(stepId, branch, outcome, []),
      end: ends(outcome.kind as ScheduledEnd["end"], to, [], []),
      freedom: FREEDOM.commands,
    });
    const nameOf = (node: number): string => this.#plan.nodes[node]!.name;
    const found = [command({ kind: "final", value: NOTHING }, [])];
    for (const [node] of ways) {
      found.push(command({ kind: "invoke", agent: nameOf(node), input: NOTHING }, [nameOf(node)]));
    }
    for (const kind of ["call", "flow"]) {
      const agents = ways.flatMap(([node, { way }]) => (way === kind ? [nameOf(node)] : []));
      if (agents.length < 2) continue;
      const items = agents.map((agent) => ({ agent, input: NOTHING }));
      found.push(command({ kind: "parallel", items }, agents));
    }
    return found;
  }

  #answers(session: SessionState, run: RunState, branch: Branch | null, question: OpenQuestion): Choice[] {
    const { questionId, node } = question;
    const id = numberOf(questionId);
    const answer = (value: Stored, edges: readonly number[], end: Partial<ScheduledEnd>): Choice => ({
      fact: { type: "user.answered", questionId, value, held: edges },
      end: { of: "question", id, node, end: "value", to: [], held: [], notHeld: [], ...end },
      freedom: FREEDOM.values,
    });
    if (question.kind === "insufficient") {
      return (["proceed", "fail"] as const).map((end) => answer({ v: end }, [], { end }));
    }
    if (question.kind === "recovery" && branch !== null) {
      // Tried again, it is where it was before it failed.
      const skipped = this.#judgedOnLeaving(session, run, branch, { questionId });
      const aborted = edgesToJudge(session, { questionId }, "error");
      return (["skip", "abort"] as const).flatMap((action) =>
        this.#subsets(action === "skip" ? skipped : aborted).map(({ edges, held, notHeld }) => {
          const { fact, ...choice } = answer(NOTHING, edges, { end: action, held, notHeld });
          return { ...choice, fact: { ...fact, action } as Fact };
        }),
      );
    }
    if (branch === null || question.kind !== "node") return [answer(NOTHING, [], {})];
    const edges = this.#judgedOnLeaving(session, run, branch, { questionId });
    return this.#subsets(edges).map((judged) =>
      answer(NOTHING, judged.edges, { held: judged.held, notHeld: judged.notHeld }),
    );
  }

  /** Nobody answers in time. */
  #unanswered(session: SessionState, run: RunState, question: OpenQuestion): Choice[] {
    const { questionId, node, kind, dueAtMs } = question;
    if (dueAtMs === undefined || kind === "recovery" || kind === "insufficient") return [];
    const { onTimeout } = this.#plan.nodes[this.#plan.nodeByName.get(node)!]!.data;
    if (typeof onTimeout === "object") return [];
    const id = numberOf(questionId);
    const edges = run.limits.errorRouting ? edgesToJudge(session, { questionId }, "error") : [];
    return this.#subsets(edges).map((judged) => ({
      fact: { type: "question.expired", questionId, held: judged.edges },
      end: { of: "question", id, node, end: "failed", to: [], held: judged.held, notHeld: judged.notHeld },
      freedom: FREEDOM.failures,
    }));
  }

  /** Of the edges that are judged, those that can make a difference where the branch stands. */
  #judgedOnLeaving(
    session: SessionState,
    run: RunState,
    branch: Branch,
    id: { stepId: string } | { questionId: string },
  ): readonly number[] {
    const judged = edgesToJudge(session, id, "value");
    return judged.length === 0 ? judged : judged.filter((edge) => matters(run, this.#plan, branch, edge));
  }

  /** All ways in which conditions can hold. Edges with the same condition are judged alike. */
  #subsets(edges: readonly number[]): readonly Judged[] {
    if (edges.length === 0) return NOT_JUDGED;
    const byCondition = new Map<string, number[]>();
    for (const id of edges) {
      const condition = this.#plan.edges[id]!.data.condition ?? "";
      const known = byCondition.get(condition);
      if (known === undefined) byCondition.set(condition, [id]);
      else known.push(id);
    }
    const conditions = [...byCondition.keys()];
    return this.#masks(conditions.length).map((holds) => ({
      edges: conditions.flatMap((condition, i) => (holds(i) ? byCondition.get(condition)! : [])).sort((a, b) => a - b),
      held: conditions.filter((_, i) => holds(i)),
      notHeld: conditions.filter((_, i) => !holds(i)),
    }));
  }

  /** All combinations of `size` truths; beyond `CONDITIONS_MAX` only none, each, each pair and all. */
  #masks(size: number): ((i: number) => boolean)[] {
    if (size <= CONDITIONS_MAX) {
      return Array.from({ length: 2 ** size }, (_, bits) => (i: number) => ((bits >>> i) & 1) === 1);
    }
    this.cutShort = true;
    const few: ((i: number) => boolean)[] = [() => false, () => true];
    for (let a = 0; a < size; a++) for (let b = a; b < size; b++) few.push((i) => i === a || i === b);
    return few;
  }
}

/** The same choice at a place that is the same in another state: only the ids differ. */
export function choiceAt({ run, generation }: SessionState, place: Place, choice: Choice): Choice {
  const { fact, end, freedom } = choice;
  if ("questionId" in fact) {
    const { questionId } = place.question!;
    return { fact: { ...fact, questionId }, end: { ...end, id: numberOf(questionId) }, freedom };
  }
  const { phase } = place.branch!;
  if (phase.kind !== "step" || !("stepId" in fact)) throw new TypeError(`${fact.type} ends no step`);
  const id = stepIdOf(run!.seq, generation, phase.work.step);
  return { fact: { ...fact, stepId: id }, end: { ...end, id }, freedom };
}

interface Judged {
  readonly edges: readonly number[];
  readonly held: readonly string[];
  readonly notHeld: readonly string[];
}

const NOT_JUDGED: readonly Judged[] = [{ edges: [], held: [], notHeld: [] }];

/** A question's id without the session's. */
function numberOf(questionId: string): string {
  return questionId.slice(questionId.lastIndexOf("/") + 1);
}

function stepOf(session: SessionState, run: RunState, branch: Branch, plan: Plan) {
  if (branch.phase.kind !== "step") throw new TypeError(`branch ${branch.id} has no step out`);
  const { step, attempt } = branch.phase.work;
  const id = stepIdOf(run.seq, session.generation, step);
  const { name: node } = plan.nodes[branch.node]!;
  const ends = (
    end: ScheduledEnd["end"],
    to: readonly string[],
    held: readonly string[],
    notHeld: readonly string[],
  ): ScheduledEnd => ({ of: "step", id, node, end, to, held, notHeld });
  return { stepId: id, attempt, ends };
}

function succeeded(stepId: string, { phase }: Branch, outcome: Outcome, held: readonly number[]): Fact {
  const attempt = phase.kind === "step" ? phase.work.attempt : 1;
  return { type: "step.succeeded", stepId, attempt, outcome, held, tookMs: SPENT_MS };
}

/** Can the edge be asked for when a plain value leaves the branch's node, or the node that opened the conversation it ends? */
function matters(run: RunState, plan: Plan, branch: Branch, edge: number): boolean {
  const frame = run.frames.get(branch.frame)!;
  if (frame.kind === "conversation" && branch.instance === 0) {
    if (frame.turns! < plan.edges[frame.edge!]!.maxTurns || frame.owner === null) return false;
    return matters(run, plan, run.branches.get(frame.owner)!, edge);
  }
  const { from, role } = plan.edges[edge]!;
  if (from !== branch.node) return false;
  if (role === "call") return !(branch.phase.kind === "step" && branch.phase.work.woken);
  if (role === "flow" || role === "exit") return !branch.enteredByCall;
  return true;
}
