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
  call: (began: () => void) => Promise<ModelAnswer>,
): Promise<ModelAnswer> {
  const clock = systemClock();
  const startedAtMs = clock.monotonicMs();
  const sinceStartMs = (): number => Math.round(clock.monotonicMs() - startedAtMs);
  let firstTokenMs: number | undefined;
  const told = () =>
    ({
      type: "model.called",
      provider: model.provider,
      model: model.modelId,
      tookMs: sinceStartMs(),
      ...(firstTokenMs !== undefined && { firstTokenMs }),
    }) as const;
  try {
    const answer = await call(() => (firstTokenMs = sinceStartMs()));
    const { usage, finishReason, modelId, responseId } = answer;
    const { inputTokens, outputTokens, cachedInputTokens } = usage;
    const costs = costUsd(price, usage);
    const counted = { inputTokens, outputTokens, cachedInputTokens, costUsd: costs };
    const about = { responseModel: modelId, ...(responseId !== undefined && { responseId }), finishReason };
    ctx.report({ ...told(), ...about, ...counted });
    return answer;
  } catch (error) {
    const { code, message } = errorToData(error);
    ctx.report({ ...told(), error: { code, message } });
    throw error;
  }
}
