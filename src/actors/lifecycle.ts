// Pause, resume and restore.

import { shiftClocks, stopClocks } from "./clocks.ts";
import { asked, disarmed, type Draft } from "./draft.ts";
import type { Effect, KernelEvent } from "./effects.ts";
import type { Fact } from "./facts.ts";
import type { Reduction } from "./reduction.ts";
import type { Branch, OpenQuestion, Pause, Phase, RunState, SessionState } from "./session-state.ts";
import { offerOf } from "./steps.ts";
import { decodeState } from "./state-codec.ts";
import { stepIdOf } from "../base/ids.ts";
import { renameNested } from "../base/nested-ids.ts";

/** Stops handing out. Steps in flight finish (recorded, not followed) or are aborted and run again on resume. */
export function pauseRun(draft: Draft, fact: Extract<Fact, { type: "paused" }>): string | undefined {
  const { run, session } = draft;
  if (run.pause !== null) return "the run is paused";
  run.pause = { reason: fact.reason ?? null, inFlight: fact.inFlight, sinceMs: draft.atMs, pending: [] };
  session.status = "paused";
  stopClocks(draft);
  if (fact.inFlight === "abort") {
    for (const [step] of run.steppers.entries())
      draft.effects.push({ type: "step.abort", stepId: draft.stepId(step), reason: "paused" });
  }
  draft.events.push({ type: "run.paused", ...(fact.reason === undefined ? {} : { reason: fact.reason }) });
  draft.effects.push({ type: "run.settled", status: "paused" });
  return undefined;
}

/** Goes on exactly where the facts end: after a pause, or in a process that took the session over. */
export function resumeRun(
  draft: Draft,
  fact: Extract<Fact, { type: "resumed" | "owned" }>,
  applyPending: (pending: Pause["pending"]) => void,
): string | undefined {
  const { run, session } = draft;
  const pending = run.pause?.pending ?? [];
  if (fact.type === "owned" && run.pause !== null) return undefined;
  run.pause = null;
  if (session.status === "paused") session.status = "running";
  shiftClocks(draft, fact.shiftMs);
  if (fact.type === "resumed") draft.events.push({ type: "run.resumed" });
  for (const effect of stepsAndQuestions(session, run)) {
    if (
      effect.type !== "step.offer" ||
      !pending.some(({ fact: known }) => "stepId" in known && known.stepId === effect.offer.stepId)
    ) {
      draft.effects.push(effect);
    }
  }
  applyPending(pending);
  draft.clocks = true;
  return undefined;
}

/** Every step that is out and every question that is open, as the effects that put them there. */
export function stepsAndQuestions(session: Pick<SessionState, "generation">, run: RunState): Effect[] {
  const effects: Effect[] = [];
  for (const branchId of run.steppers.values()) {
    const branch = run.branches.get(branchId)!;
    const node = run.topology.nodes[branch.node]?.name;
    effects.push({ type: "step.offer", offer: offerOf(session, branch, node!, run.seq) });
  }
  for (const question of run.questions) effects.push(...asked(question));
  return effects;
}

/**
 * The session stands where the checkpoint stood, paused. The generation rises, so that no result from before
 * can answer a step from now on.
 */
export function restoreSession(
  state: SessionState,
  fact: Extract<Fact, { type: "restored" }>,
  atMs: number,
): Reduction {
  const saved = decodeState(fact.state, fact.reducer ?? 1);
  const generation = Math.max(state.generation, saved.generation) + 1;
  const restored: SessionState = {
    ...saved,
    sessionId: state.sessionId,
    generation,
    runCount: Math.max(state.runCount, saved.runCount),
    atMs,
  };
  const run = saved.run !== null && saved.run.end === null ? stilled(saved.run, saved, restored) : null;
  return {
    state: run === null ? restored : { ...restored, status: "paused", run },
    effects: [...abandon(state), { type: "run.settled", status: run === null ? restored.status : "paused" }],
    events: [
      { type: "run.restored", checkpointId: fact.checkpointId },
      ...(run === null ? [] : startedSteps(restored, run)),
    ],
  };
}

/** Steps that were out at the checkpoint have other ids here, under which nobody has heard of them yet. */
function startedSteps(session: Pick<SessionState, "generation">, run: RunState): KernelEvent[] {
  return stepsAndQuestions(session, run).flatMap((effect) => {
    if (effect.type !== "step.offer") return [];
    const { stepId, branchId, node, attempt, input } = effect.offer;
    return [{ type: "step.started", stepId, branchId, node, attempt, input } as const];
  });
}

function stilled(run: RunState, saved: SessionState, restored: SessionState): RunState {
  const pause: Pause = {
    reason: "restored",
    inFlight: "abort",
    sinceMs: saved.atMs,
    pending: run.pause?.pending ?? [],
  };
  // Questions get ids of their own here, so that an answer to the old ones cannot be taken for one to these. Those of
  // nested runs get the ones under which the step, run again by its new name, will have them asked.
  const renamed = new Map(run.questions.map((q) => [q.questionId, renameQuestion(q, run, saved, restored)]));
  const nameOf = (id: string): string => renamed.get(id)?.questionId ?? id;
  // A restored question has the time that was left at the checkpoint.
  const sinceMs = restored.atMs - saved.atMs;
  const questions = [...renamed.values()].map((q) =>
    q.dueAtMs === undefined ? q : { ...q, dueAtMs: q.dueAtMs + sinceMs },
  );
  let { branches } = run;
  for (const branch of run.branches.values()) {
    const phase = renamePhase(branch, run, saved, restored, nameOf);
    if (phase !== branch.phase) branches = branches.set(branch.id, { ...branch, phase });
  }
  const pending = pause.pending.map(({ fact, atMs }) => ({ atMs, fact: renameFact(fact, run, restored, nameOf) }));
  return { ...run, questions, branches, pause: { ...pause, pending } };
}

function renameQuestion(
  question: OpenQuestion,
  run: RunState,
  saved: SessionState,
  restored: SessionState,
): OpenQuestion {
  const id = question.questionId;
  if (question.kind === "nested") {
    const phase = run.branches.get(question.branch)?.phase;
    if (phase?.kind !== "suspended") return question;
    const rename = nestedRename(phase.work.step, run, saved, restored);
    return {
      ...question,
      questionId: rename(id),
      ...(question.sessionId === undefined ? {} : { sessionId: rename(question.sessionId) }),
    };
  }
  const local = id.slice(saved.sessionId.length + 2).split(".");
  return {
    ...question,
    questionId: `${restored.sessionId}/q${local[0]}.${restored.generation}.${local.slice(2).join(".")}`,
  };
}

function renamePhase(
  { phase }: Branch,
  run: RunState,
  saved: SessionState,
  restored: SessionState,
  nameOf: (id: string) => string,
): Phase {
  const own = phase.kind === "asking" ? { ...phase, questionId: nameOf(phase.questionId) } : phase;
  if (!("work" in own) || own.work === undefined || Object.keys(own.work.answers).length === 0) return own;
  const { work } = own;
  const rename = nestedRename(work.step, run, saved, restored);
  const answers = Object.fromEntries(Object.entries(work.answers).map(([id, value]) => [rename(id), value]));
  return { ...own, work: { ...work, answers } };
}

function nestedRename(
  step: number,
  { seq }: RunState,
  saved: SessionState,
  restored: SessionState,
): (name: string) => string {
  const from = { sessionId: saved.sessionId, stepId: stepIdOf(seq, saved.generation, step) };
  const to = { sessionId: restored.sessionId, stepId: stepIdOf(seq, restored.generation, step) };
  return (name) => renameNested(name, from, to);
}

/** Results held back by a pause at the checkpoint stay good: they are told under the new generation's ids. */
function renameFact(fact: Fact, run: RunState, restored: SessionState, nameOf: (id: string) => string): Fact {
  if ("questionId" in fact) return { ...fact, questionId: nameOf(fact.questionId) };
  if (!("stepId" in fact)) return fact;
  return { ...fact, stepId: stepIdOf(run.seq, restored.generation, Number(fact.stepId.split(".")[2])) };
}

/** What is under way before the restore is let go. */
function abandon(state: SessionState): Effect[] {
  const { run } = state;
  if (run === null || run.end !== null) return [];
  const effects: Effect[] = [];
  for (const [step] of run.steppers.entries()) {
    effects.push({ type: "step.abort", stepId: stepIdOf(run.seq, state.generation, step), reason: "cancelled" });
  }
  for (const timerId of Object.keys(run.timers)) effects.push({ type: "timer.disarm", timerId });
  for (const question of run.questions)
    effects.push(...disarmed(question), { type: "question.withdraw", questionId: question.questionId });
  return effects;
}
