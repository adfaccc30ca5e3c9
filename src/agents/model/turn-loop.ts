// Turn loop
//
// Owns:      one step of a model-backed agent: what is asked, in which order, and what the answers come to.
// Does not:  speak to a provider (model-call.ts).
//
// T1  A turn is one call of the model, recorded under `model:<turn>` before anything follows from it: a re-run of the step
//     reads the turns there are and asks from the first one missing. What a recorded turn showed is not shown again.
// T2  The usage of a turn is told by the attempt that made the call, and by its re-runs after a crash, whose first try
//     told nobody; a later attempt finds it in the account already.
// T3  What is asked follows from the input, the instructions and the turns before, so that a re-run asks the same.

import type { ModelMessage, UserContent } from "ai";
import type { AgentContext, Command } from "../../runtime/agent.ts";
import { loadAi, type AiSdk } from "./language-model.ts";
import type { ModelAgentOptions } from "./model-agent-definition.ts";
import { callModel, type ModelAnswer } from "./model-call.ts";
import { ModelCallError } from "./model-errors.ts";
import { costUsd } from "./price.ts";
import { holdsToSchema, jsonSchemaOf, misfitError, readAnswer, schemaInWords } from "./structured-output.ts";
import { userContent } from "./user-content.ts";

/** Corrective turns after an answer that is refused. */
const CORRECTIONS_MAX = 3;

/** A turn as it stands in the journal. */
interface Turn {
  /** Which attempt made the call (T2). */
  readonly attempt: number;
  readonly answer: ModelAnswer;
  readonly costUsd: number;
}

export async function runTurns(
  agent: ModelAgentOptions,
  input: unknown,
  ctx: AgentContext,
): Promise<unknown | Command> {
  const ai = await loadAi();
  const output = agent.output === undefined ? undefined : { schema: await jsonSchemaOf(ai, agent.output) };
  const system = systemText(agent, ctx, output?.schema);
  const messages: ModelMessage[] = [{ role: "user", content: firstContent(agent, input, ctx) }];
  let corrections = 0;
  for (let turn = 0; turn < agent.maxTurns; turn++) {
    const answer = await takeTurn(ai, agent, { turn, system, messages, json: output }, ctx);
    messages.push(...answer.messages);
    const refusal = refusalOfEnd(answer);
    const read =
      refusal !== undefined
        ? ({ type: "misfit", reason: refusal } as const)
        : agent.output === undefined
          ? ({ type: "value", value: answer.text } as const)
          : await readAnswer(agent.output, answer.text);
    if (read.type === "value") return read.value;
    if (corrections++ === CORRECTIONS_MAX) throw misfitError(agent.name, read.reason, answer.text, turn + 1);
    ctx.emit({ type: "correction", reason: read.reason });
    messages.push({ role: "user", content: correctionText(read.reason, output) });
  }
  throw new ModelCallError(
    `the model of agent "${agent.name}" was called ${agent.maxTurns} times in one step and came to no answer (maxTurns)`,
    { retryable: false, details: { agent: agent.name, maxTurns: agent.maxTurns } },
  );
}

interface Asked {
  readonly turn: number;
  readonly system: string | undefined;
  readonly messages: readonly ModelMessage[];
  readonly json: { readonly schema: object | undefined } | undefined;
}

/** T1 */
async function takeTurn(
  ai: AiSdk,
  agent: ModelAgentOptions,
  { turn, system, messages, json }: Asked,
  ctx: AgentContext,
): Promise<ModelAnswer> {
  const { model, settings, providerOptions, price } = agent;
  const recorded = await ctx.once(`model:${turn}`, async (): Promise<Turn> => {
    const answer = await callModel(
      ai,
      {
        model,
        system,
        messages,
        tools: [],
        settings,
        providerOptions,
        json: json === undefined ? undefined : json.schema === undefined ? {} : { schema: json.schema },
      },
      ctx,
    );
    return { attempt: ctx.attempt, answer, costUsd: costUsd(price, answer.usage) };
  });
  const { answer, attempt } = recorded;
  if (attempt === ctx.attempt) {
    const { inputTokens, outputTokens } = answer.usage;
    ctx.usage({ inputTokens, outputTokens, costUsd: recorded.costUsd, model: answer.modelId });
  }
  return answer;
}

/** An answer that was cut off is none, whatever it says. */
function refusalOfEnd({ finishReason }: ModelAnswer): string | undefined {
  return finishReason === "length" ? "it was cut off at the limit of output tokens; be briefer" : undefined;
}

function systemText(agent: ModelAgentOptions, ctx: AgentContext, schema: object | undefined): string | undefined {
  const given = typeof agent.instructions === "function" ? agent.instructions(ctx) : agent.instructions;
  const inWords = agent.output === undefined || holdsToSchema(agent.model) ? undefined : schemaInWords(schema);
  const all = [given, inWords].filter((text) => text !== undefined && text !== "");
  return all.length === 0 ? undefined : all.join("\n\n");
}

function firstContent(agent: ModelAgentOptions, input: unknown, ctx: AgentContext): UserContent {
  return userContent(agent.prompt === undefined ? input : agent.prompt(input, ctx));
}

function correctionText(reason: string, json: Asked["json"]): string {
  const again = json === undefined ? "Answer again." : schemaInWords(json.schema);
  return `Your answer cannot be used, because ${reason}. ${again}`;
}
