// Nested runs
//
// A step may run another topology (`ctx.run`, or a topology as an agent). The nested run is a session of its own, named
// after the step and what is asked for, so that a re-run of the step finds it again.
//
// N1  Its session is `<sessionId>.<stepId>.<hash of topology, task and context>[.<k>]`, k from 2 for the second of equal
//     requests of one attempt. Whatever order a re-run asks in, and whatever else it asks for, each request finds its own.
// N2  It never takes more steps, tokens or cost than its parent has left; what it took is added to the parent with the step.
// N3  When it waits for people the step lets go of its host; its questions are the parent's, and are answered there.
// N4  When the parent's step is cancelled so is the nested run; when the parent is paused it is paused, and reattached on resume.
// N5  No nested run outlives its step (engine.ts): what is under way when the step has ended for good is cancelled, and
//     nothing is begun from then on.
// N6  A session that says another run, or none, is around it is refused: never answered from, never started over.

import type { RunLimits } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { openQuestions } from "../actors/view.ts";
import { encodeValue } from "../base/codec.ts";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { nestedSessionId, requestHash } from "../base/nested-ids.ts";
import type { SessionEntry } from "../state/ports.ts";
import { isEnded } from "../state/run-status.ts";
import type { Engine, RunCode, RunOutcome, StartRequest } from "./engine-api.ts";
import type { Execution } from "./execution.ts";
import { AROUND_STANDS_STILL } from "./nested-ends.ts";
import { outcomeWhileOwned, type NestedOwnerPorts } from "./nested-owner.ts";
import type { Values } from "./values.ts";

export type NestedRequest = Pick<
  StartRequest,
  "task" | "topology" | "topologyHash" | "code" | "limits" | "context" | "autoCheckpoint"
>;

/** How the options of `ctx.run` are read and its result is shown; the engine knows neither. */
export interface NestedHooks {
  prepare(options: unknown, parent: RunCode): NestedRequest | Promise<NestedRequest>;
  result(outcome: RunOutcome): unknown;
}

export interface NestedPorts extends NestedOwnerPorts {
  readonly engine: Pick<Engine, "start" | "resume" | "pause" | "cancel" | "outcome" | "getSession" | "state">;
  readonly hooks: NestedHooks | undefined;
  readonly values: Values;
  nowMs(): number;
  parentState(sessionId: string): SessionState | undefined;
  /** Values of answers that were given to the parent. */
  answers(execution: Execution): Promise<Readonly<Record<string, unknown>>>;
  /** Notes that the step has a nested run under way; returns the way to forget it. */
  track(execution: Execution, nestedSessionId: string): () => void;
  /** The step is let go until it is offered again. */
  release(execution: Execution): void;
  /** The parent itself stands still, or this engine is about to. */
  standsStill(sessionId: string): boolean;
}

const MOVE_POLL_MS = 250;

export function runNested(ports: NestedPorts, execution: Execution, options: unknown): Promise<unknown> {
  const result = run(ports, execution, options);
  // An agent may begin a run and not wait for it; that it was cancelled then is nobody's failure.
  result.catch(() => undefined);
  return result;
}

async function run(ports: NestedPorts, execution: Execution, options: unknown): Promise<unknown> {
  const { hooks } = ports;
  if (hooks === undefined)
    throw new OrchestraError("ORCH_BAD_OPTION", "ctx.run: this engine was made without nested runs");
  const letClockRun = execution.hold();
  try {
    const request = await hooks.prepare(options, execution.code);
    const sessionId = await nameFor(ports, execution, request);
    if (execution.ended) return await never();
    return await follow(ports, execution, sessionId, request, hooks);
  } finally {
    letClockRun();
  }
}

/** N1. A session that was deleted and made anew has other runs, so the run at the top is part of the name. */
async function nameFor({ engine, values }: NestedPorts, execution: Execution, request: NestedRequest): Promise<string> {
  const around = await engine.getSession(execution.sessionId);
  // N5: the claim of the step may have been on its way here when the run ended.
  if (around === null || around.runId !== execution.runId || isEnded(around.status)) execution.abort("ended");
  const top = around?.parentSessionId === undefined ? execution.runId : null;
  const task = values.store(request.task, "task", new Map());
  const context = values.storeAll(request.context ?? {}, "context", new Map());
  const hash = requestHash(encodeValue([top, request.topologyHash, task, context]));
  const k = execution.countNested(hash);
  return nestedSessionId(execution.sessionId, execution.body.offer.stepId, hash, k);
}

async function follow(
  ports: NestedPorts,
  execution: Execution,
  sessionId: string,
  request: NestedRequest,
  hooks: NestedHooks,
): Promise<unknown> {
  const untrack = ports.track(execution, sessionId);
  const stop = (): void => stopWith(ports, execution, sessionId);
  execution.signal.addEventListener("abort", stop, { once: true });
  const brought = new Set<string>();
  let isLost = false;
  try {
    for (;;) {
      const { outcome, told } = await attach(ports, execution, sessionId, request);
      if (outcome.status === "completed" || outcome.status === "failed" || outcome.status === "cancelled") {
        if (!told) addUsage(execution, outcome);
        return hooks.result(outcome);
      }
      if (execution.ended) return await never();
      if (outcome.status === "awaiting_user") {
        const open = openQuestions(outcome.state);
        const given = await ports.answers(execution);
        // After a restore the nested run begins anew, and comes to its question when the answer is here already.
        const here = open.filter(({ questionId }) => Object.hasOwn(given, questionId) && !brought.has(questionId));
        for (const { questionId } of here) brought.add(questionId);
        if (here.length > 0) continue;
        execution.suspend(
          open.map(({ questionId, prompt, sessionId: asking = sessionId, dueAtMs }) => ({
            questionId,
            prompt,
            sessionId: asking,
            ...(dueAtMs !== undefined && { dueAtMs }),
          })),
        );
        return await never();
      }
      if (ports.standsStill(execution.sessionId)) {
        ports.release(execution);
        return await never();
      }
      // Somebody paused the nested run alone, and the step waits for it to move again; or its host is gone.
      await new Promise<void>((resolve) => ports.deadlines.after(MOVE_POLL_MS, resolve));
      if (execution.ended) return await never();
    }
  } catch (error) {
    // The store let go of it in mid-run, and may still say that it runs: the end of the step cancels it (N5).
    isLost = isOrchestraError(error, "ORCH_STORE_FAILED") || isOrchestraError(error, "ORCH_STORE_CORRUPT");
    throw error;
  } finally {
    execution.signal.removeEventListener("abort", stop);
    if (!isLost) untrack();
  }
}

/** `told`: the run had ended before this attempt, and an earlier attempt has accounted for it. */
async function attach(
  ports: NestedPorts,
  execution: Execution,
  sessionId: string,
  request: NestedRequest,
): Promise<{ outcome: RunOutcome; told: boolean }> {
  const entry = await ports.engine.getSession(sessionId);
  const { attempt, stepId } = execution.body.offer;
  const start = async (fresh: boolean): Promise<{ outcome: RunOutcome; told: boolean }> => {
    const limits = withinParent(request.limits, ports.parentState(execution.sessionId));
    const handle = await ports.engine.start({
      ...request,
      limits,
      sessionId,
      fresh,
      parent: { sessionId: execution.sessionId, stepId },
    });
    return { outcome: await outcomeWhileOwned(ports, handle), told: false };
  };
  if (entry === null) return start(false);
  const state = await ports.engine.state(sessionId);
  assertNestedIn(state, { sessionId: execution.sessionId, stepId });
  switch (entry.status) {
    case "completed":
      return { outcome: await ports.engine.outcome(sessionId), told: attempt > 1 };
    case "failed":
    case "cancelled":
      // The step runs again because of this failure: so does what failed.
      return attempt > 1 ? start(true) : { outcome: await ports.engine.outcome(sessionId), told: false };
    case "awaiting_user": {
      const given = await ports.answers(execution);
      const answers = Object.fromEntries(
        openQuestions(state).flatMap(({ questionId }) =>
          Object.hasOwn(given, questionId) ? [[questionId, given[questionId]]] : [],
        ),
      );
      const nowMs = ports.nowMs();
      const isLate = openQuestions(state).some(({ dueAtMs = Infinity }) => dueAtMs <= nowMs);
      if (Object.keys(answers).length === 0 && !isLate)
        return { outcome: await ports.engine.outcome(sessionId), told: false };
      return {
        outcome: await outcomeWhileOwned(ports, await ports.engine.resume(sessionId, { code: request.code, answers })),
        told: false,
      };
    }
    case "paused":
      if (isPausedAlone(ports, execution, entry, state))
        return { outcome: await ports.engine.outcome(sessionId), told: false };
      return {
        outcome: await outcomeWhileOwned(ports, await ports.engine.resume(sessionId, { code: request.code })),
        told: false,
      };
    case "running":
    case "idle":
      return {
        outcome: await outcomeWhileOwned(ports, await ports.engine.resume(sessionId, { code: request.code })),
        told: false,
      };
  }
}

/** N6 */
function assertNestedIn(
  { sessionId, run }: SessionState,
  { sessionId: parentId, stepId }: { readonly sessionId: string; readonly stepId: string },
): void {
  if (run?.parent?.sessionId === parentId && run.parent.stepId === stepId) return;
  const whose = run?.parent ? `step ${run.parent.stepId} of session "${run.parent.sessionId}"` : "no step of another";
  throw new OrchestraError(
    "ORCH_SESSION_STATE",
    `session "${sessionId}" belongs to ${whose}, so step ${stepId} of session "${parentId}" cannot have its nested run there; delete it`,
    {
      details: { sessionId, parentSessionId: parentId, stepId },
    },
  );
}

/** Paused during this very attempt: by a person, not by the parent's pause, which may be over by the time it gets here. */
function isPausedAlone(ports: NestedPorts, execution: Execution, entry: SessionEntry, { run }: SessionState): boolean {
  if (run?.pause?.reason === AROUND_STANDS_STILL) return false;
  return !ports.standsStill(execution.sessionId) && entry.updatedAtMs >= execution.startedWallMs;
}

/** N2 */
function withinParent(limits: RunLimits, parent: SessionState | undefined): RunLimits {
  const run = parent?.run;
  if (run === undefined || run === null) return limits;
  const tokens = run.usage.inputTokens + run.usage.outputTokens;
  return {
    ...limits,
    maxSteps: Math.min(limits.maxSteps, Math.max(0, run.limits.maxSteps - run.steps)),
    tokens: least(limits.tokens, left(run.limits.tokens, tokens)),
    costUsd: least(limits.costUsd, left(run.limits.costUsd, run.usage.costUsd)),
  };
}

function left(limit: number | false, used: number): number | false {
  return limit === false ? false : Math.max(0, limit - used);
}

function least(a: number | false, b: number | false): number | false {
  if (a === false) return b;
  return b === false ? a : Math.min(a, b);
}

function addUsage(execution: Execution, outcome: RunOutcome): void {
  const run = outcome.state.run;
  if (run === null) return;
  execution.context?.addUsage({ ...run.usage, nestedSteps: run.steps });
}

/** N4 */
function stopWith({ engine }: NestedPorts, execution: Execution, sessionId: string): void {
  const reason = execution.aborted;
  // Where another execution of the step took its place, the nested run is that one's.
  if (reason === "fenced" || reason === "closing" || reason === "superseded") return;
  const stopped =
    reason === "paused"
      ? engine.pause(sessionId, AROUND_STANDS_STILL, "abort")
      : engine.cancel(sessionId, "the step that ran it was stopped");
  // Whether it was still there to be stopped does not matter any more.
  stopped.catch(() => undefined);
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
