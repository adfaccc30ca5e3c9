// Step facts: what the owner makes of the end of an attempt. Conditions are judged here, once, and the retry is decided.

import type { Fact, FailureClass } from "../actors/facts.ts";
import { decideRetry } from "../actors/retry.ts";
import type { SessionState } from "../actors/session-state.ts";
import { edgesToJudge, planOf } from "../actors/view.ts";
import type { StepOffer } from "../actors/effects.ts";
import { errorToData } from "../base/error-data.ts";
import type { Random } from "../base/random.ts";
import type { Stored } from "../base/stored.ts";
import { judge } from "../topology/conditions.ts";
import type { RetryPolicies, RetryPolicy, RunnableAgent } from "./agent.ts";
import type { RunCode } from "./engine-api.ts";
import type { StepEnd } from "./step-wire.ts";
import type { Values } from "./values.ts";

export interface StepFactPorts {
  readonly values: Values;
  readonly random: Random;
  readonly code: RunCode;
  readonly nowMs: () => number;
}

/** A promise only where a condition must be judged on a value that is not at hand. */
export function stepFact(
  state: SessionState,
  offer: StepOffer,
  agentName: string,
  end: StepEnd,
  ports: StepFactPorts,
): Fact | Promise<Fact> {
  switch (end.kind) {
    case "suspended":
      return { type: "step.suspended", stepId: offer.stepId, attempt: offer.attempt, questions: end.questions };
    case "failed":
      return failedFact(state, offer, agentName, end, ports);
    case "succeeded": {
      const { outcome } = end;
      const edges = outcome.kind === "value" ? edgesToJudge(state, { stepId: offer.stepId }, "value") : [];
      if (outcome.kind !== "value" || edges.length === 0) return succeededFact(offer, end, []);
      return judgeEdges(state, edges, outcome.value, offer.input, ports, end.blobs).then(
        (held) => succeededFact(offer, end, held),
        // A condition that throws fails the step for good, with its name in the message.
        (error: unknown): Fact => ({
          type: "step.failed",
          stepId: offer.stepId,
          attempt: offer.attempt,
          class: "permanent",
          error: {
            ...errorToData(error, { fallbackCode: "ORCH_CONDITION" }),
            node: offer.node,
            branchId: offer.branchId,
          },
          held: [],
          tookMs: end.tookMs,
          ...(end.usage === undefined ? {} : { usage: end.usage }),
        }),
      );
    }
  }
}

/**
 * Edges that hold for a value: of a step, of an answer, or of the task at an entry that is no step. `blobs`: what the value
 * brings along, which is in no store before it is committed.
 */
export async function judgeEdges(
  state: SessionState,
  edges: readonly number[],
  output: Stored,
  input: StepOffer["input"] | null,
  ports: Pick<StepFactPorts, "values" | "code">,
  blobs?: ReadonlyMap<string, Uint8Array>,
): Promise<readonly number[]> {
  if (edges.length === 0 || state.run === null) return [];
  const { values, code } = ports;
  const pinned = new Map(blobs);
  await values.pin([output], pinned);
  const view = {
    output: values.peekPinned(output, pinned),
    input: input === null ? null : await values.resolveInput(input),
    context: await values.resolveAll(state.context),
    task: await values.resolve(state.run.task),
  };
  return judge(planOf(state), edges, view, code.conditions);
}

function succeededFact(offer: StepOffer, end: Extract<StepEnd, { kind: "succeeded" }>, held: readonly number[]): Fact {
  const { outcome, tookMs, usage, state } = end;
  const plain = {
    type: "step.succeeded",
    stepId: offer.stepId,
    attempt: offer.attempt,
    outcome,
    held,
    tookMs,
  } as const;
  if (usage === undefined && state === undefined) return plain;
  return { ...plain, ...(usage === undefined ? {} : { usage }), ...(state === undefined ? {} : { state }) };
}

async function failedFact(
  state: SessionState,
  offer: StepOffer,
  agentName: string,
  end: Extract<StepEnd, { kind: "failed" }>,
  ports: StepFactPorts,
): Promise<Fact> {
  const decision = end.forGood
    ? ({ retry: false } as const)
    : decideRetry(
        retryPolicies(ports.code.agents.get(agentName), ports.code.retry),
        { class: end.class, attempt: offer.attempt, retryAfterMs: end.retryAfterMs },
        ports.random.next(),
      );
  const base = {
    type: "step.failed" as const,
    stepId: offer.stepId,
    attempt: offer.attempt,
    class: end.class,
    error: end.error,
    tookMs: end.tookMs,
    ...(end.usage === undefined ? {} : { usage: end.usage }),
  };
  if (decision.retry) return { ...base, retryAtMs: ports.nowMs() + decision.delayMs, held: [] };
  const edges = edgesToJudge(state, { stepId: offer.stepId }, "error");
  try {
    return { ...base, held: await judgeEdges(state, edges, { v: end.error }, offer.input, ports) };
  } catch (error) {
    // The condition of the error edge is broken too: what failed first stays the error, the edge does not hold.
    return {
      ...base,
      held: [],
      error: { ...base.error, cause: errorToData(error, { fallbackCode: "ORCH_CONDITION" }) },
    };
  }
}

const CLASSES: readonly FailureClass[] = ["transient", "timeout", "invalid_output", "permanent"];

/** The run's policies with the agent's own laid over them; a policy without classes counts for all of them. */
export function retryPolicies(agent: RunnableAgent | undefined, run: RetryPolicies): RetryPolicies {
  const own = agent?.retry;
  if (own === undefined) return run;
  const byClass = isByClass(own) ? own : { transient: own, timeout: own, invalid_output: own, permanent: own };
  const merged: Record<FailureClass, RetryPolicy> = { ...run };
  for (const name of CLASSES) merged[name] = { ...run[name], ...byClass[name] };
  return merged;
}

function isByClass(
  retry: NonNullable<RunnableAgent["retry"]>,
): retry is Partial<Record<FailureClass, Partial<RetryPolicy>>> {
  return CLASSES.some((name) => name in retry);
}
