// Reported call: one request to a model, told to observers with what it took and what came of it.

import { systemClock } from "../../base/clock.ts";
import { errorToData } from "../../base/error-data.ts";
import type { AgentContext } from "../../runtime/agent.ts";
import type { LanguageModel } from "./language-model.ts";
import type { ModelAnswer } from "./model-call.ts";
import { costUsd, type ModelPrice } from "./price.ts";

export async function reportedCall(
  model: LanguageModel,
  price: ModelPrice | undefined,
  ctx: Pick<AgentContext, "report">,
  call: () => Promise<ModelAnswer>,
): Promise<ModelAnswer> {
  const clock = systemClock();
  const startedAtMs = clock.monotonicMs();
  const told = () =>
    ({
      type: "model.called",
      provider: model.provider,
      model: model.modelId,
      tookMs: Math.round(clock.monotonicMs() - startedAtMs),
    }) as const;
  try {
    const answer = await call();
    const { usage, finishReason, modelId } = answer;
    const { inputTokens, outputTokens, cachedInputTokens } = usage;
    const costs = costUsd(price, usage);
    const counted = { inputTokens, outputTokens, cachedInputTokens, costUsd: costs };
    ctx.report({ ...told(), responseModel: modelId, finishReason, ...counted });
    return answer;
  } catch (error) {
    const { code, message } = errorToData(error);
    ctx.report({ ...told(), error: { code, message } });
    throw error;
  }
}
