// Take turn
//
// One call of the model, recorded before anything follows from it.
//
// T1  It is recorded under `model:<turn>`: a re-run of the step reads the turns there are and asks from the first one
//     missing. What a recorded turn showed is not shown again.
// T2  Its usage is told by the attempt that made the call, and by re-runs of that attempt, of which nobody was told; a later
//     attempt finds it in the run's account already.
// T3  What it may cost at most is set aside of the run's budget before, and given back when what it did cost is told.

import { OrchestraError } from "../../base/errors.ts";
import type { AgentContext } from "../../runtime/agent.ts";
import { shareOf, type BudgetCap } from "./budget-share.ts";
import type { AiSdk } from "./language-model.ts";
import type { ModelAgentOptions } from "./model-agent-definition.ts";
import {
  callModel,
  estimateRequestTokens,
  type ModelAnswer,
  type ModelRequest,
  type ModelSettings,
} from "./model-call.ts";
import { costUsd } from "./price.ts";
import { reportedCall } from "./reported-call.ts";

/** A turn as it stands in the journal. */
interface Turn {
  /** Which attempt made the call (T2). */
  readonly attempt: number;
  readonly answer: ModelAnswer;
  readonly costUsd: number;
  /** What the budget let it answer, where that was less than its settings did. */
  readonly cap?: BudgetCap;
}

export async function takeTurn(
  ai: AiSdk,
  agent: ModelAgentOptions,
  turn: number,
  asked: Pick<ModelRequest, "system" | "messages" | "tools" | "json">,
  ctx: AgentContext,
): Promise<ModelAnswer> {
  const { model, settings, providerOptions, price } = agent;
  let giveBack: (() => void) | undefined;
  try {
    const recorded = await ctx.once(`model:${turn}`, async (): Promise<Turn> => {
      let cap: BudgetCap | undefined;
      const size = { inputTokens: estimateRequestTokens(asked), maxOutputTokens: settings.maxOutputTokens, price };
      giveBack = await ctx.reserve(shareOf(size, (set) => (cap = set)));
      const within = settingsWithin(settings, cap);
      const request = { model, settings: within, providerOptions, ...asked };
      const answer = await reportedCall(model, price, ctx, (began) =>
        callModel(ai, request, { signal: ctx.signal, logger: ctx.logger, emit: ctx.emit, began }),
      );
      return {
        attempt: ctx.attempt,
        answer,
        costUsd: costUsd(price, answer.usage),
        ...(cap === undefined ? {} : { cap }),
      };
    });
    tellUsage(recorded, ctx);
    if (recorded.cap !== undefined && recorded.answer.finishReason === "length")
      throw cutOffByBudget(agent, recorded.cap, ctx);
    return recorded.answer;
  } finally {
    giveBack?.();
  }
}

/** T2 */
function tellUsage({ attempt, answer, costUsd: cost }: Turn, ctx: AgentContext): void {
  if (attempt !== ctx.attempt) return;
  const { inputTokens, outputTokens } = answer.usage;
  ctx.usage({ inputTokens, outputTokens, costUsd: cost, model: answer.modelId });
}

function settingsWithin(settings: ModelSettings, cap: BudgetCap | undefined): ModelSettings {
  return cap === undefined ? settings : { ...settings, maxOutputTokens: cap.tokens };
}

function cutOffByBudget({ name }: ModelAgentOptions, cap: BudgetCap, { runId }: AgentContext): OrchestraError {
  return new OrchestraError(
    "ORCH_BUDGET",
    `the run's budget left ${cap.tokens} tokens for an answer of the model of agent "${name}", which was cut off there`,
    { details: { budget: cap.budget, runId } },
  );
}
