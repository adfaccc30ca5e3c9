// Turn loop
//
// Owns:      one step of a model-backed agent: what is asked, in which order, and what the answers come to.
// Does not:  speak to a provider (model-call.ts), judge what is allowed (steering/), or run tools (tools/).
//
// L1  What is asked follows from the input, the instructions and what was recorded, so that a re-run asks the same.
// L2  An answer that is refused is never output: the model is told why, three times at most, then the step fails with the
//     answer quoted.

import type { ModelMessage } from "ai";
import { isCommand, type AgentContext, type Command, type SteeringMode } from "../../runtime/agent.ts";
import { openConversation, type Conversation } from "../conversation/conversation.ts";
import type { SteeredReply } from "../steering/action.ts";
import { allowedActions, isSteered, toolsOnly, type AllowedActions } from "../steering/allowed-actions.ts";
import { allowedText, steeringInstructions } from "../steering/instructions.ts";
import { readSteeringCalls, steeringTools } from "../steering/native-tools.ts";
import { readReply } from "../steering/read-reply.ts";
import type { Tool } from "../tools/tool.ts";
import { loadAi } from "./language-model.ts";
import type { ModelAgentOptions } from "./model-agent-definition.ts";
import { toolsAsText, type ModelAnswer, type OfferedTool } from "./model-call.ts";
import { ModelCallError } from "./model-errors.ts";
import {
  answerInWords,
  checkAnswer,
  holdsToSchema,
  jsonSchemaOf,
  misfitError,
  readAnswer,
} from "./structured-output.ts";
import { takeTurn } from "./take-turn.ts";
import { answerTo, carryTalk, resultPart, takeTalk } from "./talk.ts";
import { makeToolCalls, opened, toolsOf } from "./tool-turn.ts";
import { userContent } from "./user-content.ts";

/** Corrective turns after an answer that is refused. */
const CORRECTIONS_MAX = 3;

/** What holds for all turns of a step. */
interface Terms {
  readonly tools: ReadonlyMap<string, Tool>;
  readonly allowed: AllowedActions;
  /** How texts are read: with tools, and no tool calls to use them by, also where the agent is not steered. */
  readonly reading: { readonly allowed: AllowedActions; readonly mode: SteeringMode };
  /** The answer is to be an action of the JSON contract. */
  readonly inContract: boolean;
  readonly schema: object | undefined;
  readonly system: string | undefined;
  readonly offered: readonly OfferedTool[];
}

/** What an answer comes to: the end of the step, another turn, or a refusal. */
type Next =
  | {
      readonly type: "end";
      readonly outcome: unknown;
      /** The talk goes on in a later step, to which it was carried over. */
      readonly goesOn?: true;
    }
  | { readonly type: "again" }
  | { readonly type: "refused"; readonly reason: string; readonly instead?: string };

export async function runTurns(agent: ModelAgentOptions, input: unknown, ctx: AgentContext): Promise<unknown> {
  const ai = await loadAi();
  const tools = await toolsOf(agent.tools, ctx.signal);
  const schema = agent.output === undefined ? undefined : await jsonSchemaOf(ai, agent.output);
  const terms = termsOf(agent, { tools, schema }, input, ctx);
  const conversation = await conversationOf(agent, terms, ctx);
  const begun = await begin(agent, terms, input, ctx);
  if (isCommand(begun)) return begun;
  const messages = begun;
  const { system, offered, inContract } = terms;
  const json = agent.output === undefined || inContract ? undefined : schema === undefined ? {} : { schema };
  let corrections = 0;
  for (let turn = 0; turn < agent.maxTurns; turn++) {
    const shown = conversation === undefined ? messages : windowOf(conversation, terms, messages);
    const answer = await takeTurn(ai, agent, turn, { system, messages: shown, tools: offered, json }, ctx);
    messages.push(...answer.messages);
    const next = await follow(agent, terms, answer, messages, ctx);
    if (next.type === "end") {
      if (next.goesOn !== true) await conversation?.append([...messages, ...closing(answer)]);
      return next.outcome;
    }
    if (next.type === "again") continue;
    if (corrections++ === CORRECTIONS_MAX) throw misfitError(agent.name, next.reason, said(answer), turn + 1);
    ctx.emit({ type: "correction", reason: next.reason });
    const instead = next.instead ?? (agent.output === undefined ? "Answer again." : answerInWords(schema, inContract));
    messages.push(correction(answer, `Your answer cannot be used, because ${next.reason}. ${instead}`));
  }
  throw new ModelCallError(
    `the model of agent "${agent.name}" was called ${agent.maxTurns} times in one step and came to no answer (maxTurns)`,
    { retryable: false, details: { agent: agent.name, maxTurns: agent.maxTurns } },
  );
}

/** An agent without memory still remembers the conversation (`A <~> B`) it is in. */
function conversationOf(
  { memory }: ModelAgentOptions,
  { allowed: { plainValue } }: Terms,
  ctx: AgentContext,
): Promise<Conversation<ModelMessage>> | undefined {
  if (memory === false) return undefined;
  if (memory === undefined && plainValue !== "turn" && plainValue !== "conversation") return undefined;
  return openConversation(ctx, memory);
}

/** What fits of what was said before, and what this step has said; the instructions and tools take their share. */
function windowOf(
  conversation: Conversation<ModelMessage>,
  { system = "", offered }: Terms,
  messages: readonly ModelMessage[],
): readonly ModelMessage[] {
  const beside = [system, toolsAsText(offered)].filter((text) => text !== "");
  const instructions = beside.map((content): ModelMessage => ({ role: "system", content }));
  return conversation.window(instructions, messages).filter(({ role }) => role !== "system");
}

/** Results of the calls that ended the step, without which nobody could be told of them. */
function closing({ toolCalls }: ModelAnswer): ModelMessage[] {
  if (toolCalls.length === 0) return [];
  return [{ role: "tool", content: toolCalls.map((call) => resultPart(call, { type: "text", value: "Done." })) }];
}

function termsOf(
  agent: ModelAgentOptions,
  { tools, schema }: Pick<Terms, "tools" | "schema">,
  input: unknown,
  ctx: AgentContext,
): Terms {
  const mode = modeOf(agent, ctx);
  const { mayCall } = agent;
  const only = mayCall === undefined ? undefined : (name: string): boolean => mayCall(name, ctx);
  const allowed = allowedActions(ctx, [...tools.keys()], { input, ...(only !== undefined && { only }) });
  const native = agent.actions === "native";
  const inContract = !native && (isSteered(allowed, mode) || tools.size > 0);
  const reading: Terms["reading"] =
    inContract && mode === "never" ? { allowed: toolsOnly(allowed), mode: "auto" } : { allowed, mode };
  const given = typeof agent.instructions === "function" ? agent.instructions(ctx) : agent.instructions;
  const texts = [
    given,
    inContract ? [toolsText(tools), allowedText(reading.allowed)].join("\n") : steeringInstructions(allowed, mode),
    agent.output === undefined || (native && holdsToSchema(agent.model))
      ? undefined
      : answerInWords(schema, inContract),
  ].filter((text) => text !== undefined && text !== "");
  return {
    tools,
    allowed,
    reading,
    inContract,
    schema,
    system: texts.length === 0 ? undefined : texts.join("\n\n"),
    offered: native ? [...tools.values(), ...steeringTools(allowed, mode)] : [],
  };
}

/** The messages to begin with, or the question that has to be asked again first. */
async function begin(
  agent: ModelAgentOptions,
  { tools }: Terms,
  input: unknown,
  ctx: AgentContext,
): Promise<ModelMessage[] | Command> {
  const talk = takeTalk(ctx);
  if (talk?.open === undefined) {
    const asked = agent.prompt === undefined ? input : agent.prompt(input, ctx);
    return [{ role: "user", content: userContent(asked) }];
  }
  const { messages, open } = talk;
  if (open.type === "tools") return (await makeToolCalls(messages, open, tools, ctx, input)) ?? messages;
  messages.push(answerTo(open.calls, input, ctx.question === undefined ? ctx.replies : undefined));
  return messages;
}

async function follow(
  agent: ModelAgentOptions,
  terms: Terms,
  answer: ModelAnswer,
  messages: ModelMessage[],
  ctx: AgentContext,
): Promise<Next> {
  const { allowed, reading, tools } = terms;
  // An answer that was cut off is none, whatever it says.
  if (answer.finishReason === "length")
    return { type: "refused", reason: "it was cut off at the limit of output tokens", instead: "Be briefer." };
  const { toolCalls } = answer;
  if (toolCalls.length > 0) {
    const steered = readSteeringCalls(toolCalls, allowed);
    if (steered !== undefined) return followReply(agent, terms, steered, answer, messages, ctx);
    const open = { type: "tools", calls: opened(toolCalls, messages), native: true } as const;
    const ask = await makeToolCalls(messages, open, tools, ctx);
    return ask === undefined ? { type: "again" } : { type: "end", outcome: ask, goesOn: true };
  }
  // What was wrong with a call that cannot be read stands among the messages already.
  if (answer.unreadableCalls > 0) return { type: "refused", reason: "its tool call cannot be read" };
  if (answer.text.trim() === "") return { type: "refused", reason: "it is empty" };
  const reply = readReply(answer.text, reading.allowed, reading.mode);
  return followReply(agent, terms, reply, answer, messages, ctx);
}

async function followReply(
  agent: ModelAgentOptions,
  { allowed, tools }: Terms,
  reply: SteeredReply,
  { toolCalls }: ModelAnswer,
  messages: ModelMessage[],
  ctx: AgentContext,
): Promise<Next> {
  switch (reply.type) {
    case "refused":
      return { type: "refused", reason: reply.reason, instead: reply.allowed };
    case "tool": {
      const call = { id: "", name: reply.name, input: reply.input };
      const open = { type: "tools", calls: opened([call], messages), native: false } as const;
      const ask = await makeToolCalls(messages, open, tools, ctx);
      return ask === undefined ? { type: "again" } : { type: "end", outcome: ask, goesOn: true };
    }
    case "output": {
      const checked = await checkedValue(agent, reply.value);
      if (checked.type !== "end" || allowed.plainValue !== "call") return checked;
      carryTalk(ctx, { messages, open: { type: "next-input", calls: [] } });
      return { ...checked, goesOn: true };
    }
    case "command": {
      const { command } = reply;
      if (command.kind === "final") {
        const checked = await checkedValue(agent, command.value);
        return checked.type === "end" ? { type: "end", outcome: { ...command, value: checked.outcome } } : checked;
      }
      if (command.kind === "invoke" && allowed.exits.includes(command.agent)) {
        const checked = await checkedValue(agent, command.input);
        return checked.type === "end" ? { type: "end", outcome: { ...command, input: checked.outcome } } : checked;
      }
      if (!comesBack(command, allowed)) return { type: "end", outcome: command };
      carryTalk(ctx, { messages, open: { type: "next-input", calls: toolCalls } });
      return { type: "end", outcome: command, goesOn: true };
    }
  }
}

/** Whether another step of this branch, here, begins with what the command brings. */
function comesBack(command: Command, { calls }: AllowedActions): boolean {
  const isCall = (agent: string): boolean => calls.some((call) => call.agent === agent && call.how === "call");
  switch (command.kind) {
    case "ask":
      return true;
    case "invoke":
      return isCall(command.agent);
    case "parallel":
      return command.items.every(({ agent }) => isCall(agent));
    default:
      return false;
  }
}

async function checkedValue({ output }: ModelAgentOptions, value: unknown): Promise<Next> {
  if (output === undefined) return { type: "end", outcome: value };
  const read = typeof value === "string" ? await readAnswer(output, value) : await checkAnswer(output, value);
  return read.type === "value" ? { type: "end", outcome: read.value } : { type: "refused", reason: read.reason };
}

/** Where the model called tools, every call needs a result; else it is told as the user. */
function correction({ toolCalls }: ModelAnswer, text: string): ModelMessage {
  return toolCalls.length === 0
    ? { role: "user", content: text }
    : { role: "tool", content: toolCalls.map((call) => resultPart(call, { type: "error-text", value: text })) };
}

function said({ text, toolCalls }: ModelAnswer): string {
  return toolCalls.length === 0 ? text : JSON.stringify(toolCalls.map(({ name, input }) => ({ name, input })));
}

function toolsText(tools: ReadonlyMap<string, Tool>): string {
  const lines = [...tools.values()].map(
    ({ name, description, inputJsonSchema }) =>
      `- ${name}${description === undefined ? "" : `: ${description}`}\n  input: ${JSON.stringify(inputJsonSchema)}`,
  );
  return lines.length === 0 ? "" : ["You may use these tools:", ...lines].join("\n");
}

function modeOf(agent: ModelAgentOptions, ctx: AgentContext): AgentContext["steeringMode"] {
  return agent.steering ?? ctx.steeringMode;
}
