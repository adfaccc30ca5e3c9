// View: what the runtime may ask of a session state.

import { stepIdOf, stepNumberOf } from "../base/ids.ts";
import type { Stored } from "../base/stored.ts";
import type { Plan } from "../topology/plan.ts";
import { candidates } from "./barriers.ts";
import { waysFrom } from "./commands.ts";
import { barrierName, branchName, convergenceTimer, Draft } from "./draft.ts";
import type { Effect, Question, StepOffer } from "./effects.ts";
import {
  aheadKey,
  NO_RECORDS,
  recordIn,
  recordsAhead,
  recordsOf,
  type JournalRecord,
  type StepJournal,
} from "./journal.ts";
import type { Fact } from "./facts.ts";
import { stepsAndQuestions } from "./lifecycle.ts";
import { isSpent } from "./moves.ts";
import { placeOf, type Place } from "./place.ts";
import { planOfRun } from "./reduce.ts";
import type { Branch, OpenQuestion, RunState, SessionState } from "./session-state.ts";
import { offerOf } from "./steps.ts";

export { unanswered } from "./answers.ts";
export { QUESTION_TIMER } from "./draft.ts";
export { agentStateOf } from "./session-state.ts";
export { decodeState, encodeState } from "./state-codec.ts";

/** What a run waits for now, for people. */
export interface Why {
  readonly status: SessionState["status"];
  readonly steps: readonly {
    readonly stepId: string;
    readonly node: string;
    readonly attempt: number;
    readonly branchId: string;
    readonly notBeforeMs?: number;
    /** In line behind the rule `max_agents`, or held by questions of a nested run. */
    readonly waiting: boolean;
  }[];
  readonly barriers: readonly {
    readonly barrierId: string;
    readonly node: string;
    readonly arrived: readonly string[];
    readonly failed: number;
    readonly waitsFor: readonly { readonly branchId: string; readonly node: string }[];
    readonly dueAtMs: number | null;
  }[];
  readonly calls: readonly { readonly branchId: string; readonly node: string; readonly waitsFor: readonly string[] }[];
  readonly questions: readonly Question[];
  readonly pausedReason: string | null;
}

/** The plan of the current run. @throws TypeError when there is none. */
export function planOf(state: SessionState): Plan {
  return planOfRun(runOf(state));
}

function runOf(state: SessionState): RunState {
  if (state.run === null) throw new TypeError(`session ${state.sessionId} has no run`);
  return state.run;
}

/** All that a live run needs under way: its steps, questions and clocks. Empty for one that is paused or has ended. */
export function outstandingEffects(state: SessionState): Effect[] {
  const { run } = state;
  if (run === null || run.end !== null || run.pause !== null) return [];
  const effects = stepsAndQuestions(state, run);
  for (const [timerId, timer] of Object.entries(run.timers)) {
    if (timer.heldSinceMs === null) effects.push({ type: "timer.arm", timerId, dueAtMs: timer.dueAtMs });
  }
  return effects;
}

/**
 * Whether what a step ended with, once recorded, takes nothing from other steps that are out: it is a value and nothing else
 * (no command, no state they might read, no usage that counts against a budget), and no join is decided before all have come.
 */
export function stopsNobody({ run }: SessionState, fact: Fact): boolean {
  return (
    fact.type === "step.succeeded" &&
    fact.outcome.kind === "value" &&
    fact.state === undefined &&
    fact.usage === undefined &&
    run !== null &&
    run.limits.convergencePolicy.quorum === undefined &&
    !planOfRun(run).hasQuorum
  );
}

/** The offer of a live step; undefined when it is settled or unknown. */
export function stepOffer(state: SessionState, stepId: string): StepOffer | undefined {
  const { run } = state;
  const branch = run === null ? undefined : branchOfStep(state, run, stepId);
  return branch === undefined ? undefined : offerOf(state, branch, run!.topology.nodes[branch.node]!.name, run!.seq);
}

function branchOfStep(state: SessionState, run: RunState, stepId: string): Branch | undefined {
  const step = stepNumberOf(stepId, run.seq, state.generation);
  if (step === undefined) return undefined;
  const branchId = run.steppers.get(step);
  return branchId === undefined ? undefined : run.branches.get(branchId);
}

/** Edges whose condition is to be judged on the value (or the error) a step ends with, or on the answer to a question. */
export function edgesToJudge(
  state: SessionState,
  id: { stepId: string } | { questionId: string },
  outcome: "value" | "error",
): readonly number[] {
  const run = runOf(state);
  const plan = planOfRun(run);
  let branch: Branch | undefined;
  if ("stepId" in id) branch = branchOfStep(state, run, id.stepId);
  else {
    const question = run.questions.find((q) => q.questionId === id.questionId);
    const leaves = question?.kind === "node" || question?.kind === "recovery" || outcome === "error";
    branch = question !== undefined && leaves ? run.branches.get(question.branch) : undefined;
  }
  const edges: number[] = [];
  // The last value of a conversation leaves the node that opened it, and a failure goes on at whoever called, so their
  // edges are judged too.
  while (branch !== undefined) {
    const { out } = plan.nodes[branch.node]!;
    const groups =
      outcome === "error" ? [out.error, out.recovery] : [out.flow, out.exit, out.call, out.conversation, out.notify];
    for (const group of groups) for (const edge of group) if (plan.edges[edge]!.conditional) edges.push(edge);
    const frame = run.frames.get(branch.frame)!;
    const goesOn = frame.kind === "conversation" || (outcome === "error" && frame.kind === "call");
    branch = goesOn && frame.owner !== null ? run.branches.get(frame.owner) : undefined;
  }
  return edges;
}

/** The conditional edges of the entry, judged on the task when the entry is no step. */
export function entryEdgesToJudge(plan: Plan): readonly number[] {
  const { act, out } = plan.nodes[plan.entry]!;
  if (act !== "pass") return [];
  return [out.flow, out.exit, out.call, out.conversation, out.notify]
    .flat()
    .filter((edge) => plan.edges[edge]!.conditional);
}

/** Who may be addressed from the node of a live step, and how. Edges whose `maxVisits` is spent lead to nobody. */
export function successorsOf(
  state: SessionState,
  stepId: string,
): readonly { readonly agent: string; readonly how: "flow" | "call" | "peer" | "exit" | "conversation" }[] {
  const run = runOf(state);
  const plan = planOfRun(run);
  const branch = branchOfStep(state, run, stepId);
  if (branch === undefined) return [];
  const draft = new Draft(state, run, plan, state.atMs);
  return [...waysFrom(draft, branch)].flatMap(([node, { way, edge }]) =>
    way === "error" || isSpent(draft, edge)
      ? []
      : [{ agent: plan.nodes[node]!.name, how: way === "turn" ? ("conversation" as const) : way }],
  );
}

/** What the topology makes of a plain value of a live step. */
export function placeOfStep(state: SessionState, stepId: string): Place {
  const run = runOf(state);
  const branch = branchOfStep(state, run, stepId);
  if (branch === undefined) return NO_PLACE;
  return placeOf(new Draft(state, run, planOfRun(run), state.atMs), branch);
}

/** Of a step that is over, or has no number yet. */
export const NO_PLACE: Place = Object.freeze({ plainValue: "deliver", mayFinish: true, mayAsk: false });

/** An answer that came during a pause is followed when the run is resumed; its question is no longer open. */
export function openQuestions({ run }: SessionState): readonly OpenQuestion[] {
  if (run === null || run.pause === null || run.pause.pending.length === 0) return run?.questions ?? [];
  const answered = new Set(
    run.pause.pending.flatMap(({ fact }) => (fact.type === "user.answered" ? [fact.questionId] : [])),
  );
  return run.questions.filter(({ questionId }) => !answered.has(questionId));
}

/** When the first of the questions a session waits for is too late; undefined when none ever is, or it does not wait. */
export function firstDueAtMs(state: SessionState): number | undefined {
  if (state.status !== "awaiting_user") return undefined;
  const due = openQuestions(state).flatMap(({ dueAtMs }) => (dueAtMs === undefined ? [] : [dueAtMs]));
  return due.length === 0 ? undefined : Math.min(...due);
}

/** Results of `ctx.once` of a live step; `<step>><node>` names those its stream target recorded ahead. */
export function journalOf(state: SessionState, stepId: string): readonly JournalRecord[] {
  const [source = "", target] = stepId.split(">");
  const own = journalOfStep(state, source);
  if (target === undefined) return own === undefined ? [] : recordsOf(own);
  return own === undefined ? recordsOf(journalOfTarget(state, source, target)) : recordsAhead(own, target);
}

/** One of them. */
export function recordOf(state: SessionState, stepId: string, key: string): Stored | undefined {
  const [source = "", target] = stepId.split(">");
  const own = journalOfStep(state, source);
  if (target === undefined) return own === undefined ? undefined : recordIn(own, key);
  return own === undefined
    ? recordIn(journalOfTarget(state, source, target), key)
    : recordIn(own, aheadKey(target, key));
}

function journalOfStep(state: SessionState, stepId: string): StepJournal | undefined {
  const branch = state.run === null ? undefined : branchOfStep(state, state.run, stepId);
  return branch?.phase.kind === "step" ? branch.phase.work.journal : undefined;
}

/** The journal of the step that a stream edge led to, once its source has ended. */
function journalOfTarget({ run }: SessionState, source: string, target: string): StepJournal {
  const found = run?.branches.find(
    ({ phase, node }) =>
      phase.kind === "step" && phase.work.streamedFrom === source && run.topology.nodes[node]?.name === target,
  );
  return found?.phase.kind === "step" ? found.phase.work.journal : NO_RECORDS;
}

/** Since when a paused run stands still, or null. A resume fact moves deadlines by the time since then. */
export function pausedSinceMs(state: SessionState): number | null {
  return state.run?.pause?.sinceMs ?? null;
}

export function why(state: SessionState): Why {
  const { run } = state;
  const nothing: Why = { status: state.status, steps: [], barriers: [], calls: [], questions: [], pausedReason: null };
  if (run === null || run.end !== null) return nothing;
  const plan = planOfRun(run);
  const draft = new Draft(state, run, plan, state.atMs);
  const branches = [...run.branches.values()];
  return {
    ...nothing,
    steps: branches.flatMap((branch) => waitingStep(state, run, plan, branch)),
    barriers: [...run.instances.values()].flatMap((instance) =>
      instance.barriers.map((barrier) => ({
        barrierId: barrierName(plan, instance.id, barrier.end, barrier.generation),
        node: plan.nodes[plan.nodeOf(barrier.end)]!.name,
        arrived: Array.from(barrier.arrivals, (a) => a.from),
        failed: barrier.failed,
        waitsFor: candidates(draft, instance, barrier.end).map((c) =>
          "branch" in c
            ? { branchId: branchName(c.branch.id), node: plan.nodes[c.branch.node]!.name }
            : { branchId: "", node: plan.nodes[plan.nodeOf(c.at)]!.name },
        ),
        dueAtMs: run.timers[convergenceTimer(instance.id, barrier.end)]?.dueAtMs ?? null,
      })),
    ),
    calls: branches.flatMap(({ id, node, phase }) =>
      phase.kind !== "calling"
        ? []
        : [
            {
              branchId: branchName(id),
              node: plan.nodes[node]!.name,
              waitsFor: phase.calls.targets.flatMap((t, i) =>
                phase.calls.replies[i] === null ? [plan.nodes[t.node]!.name] : [],
              ),
            },
          ],
    ),
    questions: openQuestions(state),
    pausedReason: run.pause === null ? null : (run.pause.reason ?? ""),
  };
}

function waitingStep(
  state: SessionState,
  run: RunState,
  plan: Plan,
  { id, node, phase }: Branch,
): Why["steps"][number][] {
  if (phase.kind !== "step" && phase.kind !== "queued" && phase.kind !== "suspended") return [];
  const { work } = phase;
  return [
    {
      stepId: stepIdOf(run.seq, state.generation, work.step),
      node: plan.nodes[node]!.name,
      attempt: work.attempt,
      branchId: branchName(id),
      waiting: phase.kind !== "step",
      ...(work.notBeforeMs === undefined ? {} : { notBeforeMs: work.notBeforeMs }),
    },
  ];
}
