// Take turn
//
// One call of the model, recorded before anything follows from it.
//
// T1  It is recorded under `model:<turn>`: a re-run of the step reads the turns there are and asks from the first one
//     missing. What a recorded turn showed is not shown again.
// T2  Its usage is told by the attempt that made the call, and by re-runs of that attempt, of which nobody was told; a later
//     attempt finds it in the run's account already.

import type { AgentContext } from "../../runtime/agent.ts";
import type { AiSdk } from "./language-model.ts";
import type { ModelAgentOptions } from "./model-agent-definition.ts";
import { callModel, type ModelAnswer, type ModelRequest } from "./model-call.ts";
import { costUsd } from "./price.ts";
import { reportedCall } from "./reported-call.ts";

/** A turn as it stands in the journal. */
interface Turn {
  /** Which attempt made the call (T2). */
  readonly attempt: number;
  readonly answer: ModelAnswer;
  readonly costUsd: number;
}

export async function takeTurn(
  ai: AiSdk,
  agent: ModelAgentOptions,
  turn: number,
  asked: Pick<ModelRequest, "system" | "messages" | "tools" | "json">,
  ctx: AgentContext,
): Promise<ModelAnswer> {
  const { model, settings, providerOptions, price } = agent;
  const recorded = await ctx.once(`model:${turn}`, async (): Promise<Turn> => {
    const request = { model, settings, providerOptions, ...asked };
    const answer = await reportedCall(model, price, ctx, () => callModel(ai, request, ctx));
    return { attempt: ctx.attempt, answer, costUsd: costUsd(price, answer.usage) };
  });
  const { answer, attempt } = recorded;
  if (attempt === ctx.attempt) {
    const { inputTokens, outputTokens } = answer.usage;
    ctx.usage({ inputTokens, outputTokens, costUsd: recorded.costUsd, model: answer.modelId });
  }
  return answer;
}
