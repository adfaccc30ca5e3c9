// Talk
//
// Owns:      the messages between an agent and its model, and how they go on in a later step: after the answer of a person,
//            or the replies of agents that were called.
// Does not:  outlive the run (that is conversation memory).
//
// K1  What is carried over commits with the outcome that makes the later step, so neither is ever there without the other.
// K2  It is kept per run and branch. What a run left behind is dropped by the next run that comes to the node.

import type { ModelMessage, ToolResultPart } from "ai";
import type { AgentContext } from "../../runtime/agent.ts";
import type { ToolCallRequest } from "./model-call.ts";
import { userContent } from "./user-content.ts";

export interface Talk {
  readonly messages: ModelMessage[];
  readonly open?: OpenEnd | undefined;
}

/** What the model said last and has no answer to yet. */
export type OpenEnd =
  /** The results are in, or still to come, of these tool calls; `native` where the model made them by its own means. */
  | { readonly type: "tools"; readonly calls: readonly OpenToolCall[]; readonly native: boolean }
  /** What comes next is the answer to these calls of steering; to none where the model asked in words. */
  | { readonly type: "next-input"; readonly calls: readonly ToolCallRequest[] };

export interface OpenToolCall extends ToolCallRequest {
  /** Unique among the tool calls of the talk. */
  readonly callId: string;
  readonly result?: ToolResultPart["output"];
}

const PREFIX = "talk/";

export function carryTalk(ctx: AgentContext, talk: Talk): void {
  ctx.state.set(keyOf(ctx), talk);
}

/** The talk that goes on in this step; undefined where a new one begins. */
export function takeTalk(ctx: AgentContext): Talk | undefined {
  const own = keyOf(ctx);
  for (const key of ctx.state.keys())
    if (key.startsWith(PREFIX) && !key.startsWith(`${PREFIX}${ctx.runId}/`)) ctx.state.delete(key);
  const talk = ctx.state.get<Talk>(own);
  if (talk === undefined) return undefined;
  ctx.state.delete(own);
  return ctx.question === undefined && ctx.replies === undefined ? undefined : talk;
}

/** What was waited for, as messages: tool results where the model made tool calls, else a message of the user. */
export function answerTo(
  calls: readonly ToolCallRequest[],
  input: unknown,
  replies: AgentContext["replies"],
): ModelMessage {
  if (calls.length === 0) return { role: "user", content: userContent(replies ?? input) };
  const left = [...(replies ?? [])];
  const content = calls.map((call): ToolResultPart => {
    const at = left.findIndex(({ from }) => from === Reflect.get(Object(call.input), "agent"));
    const reply = at < 0 ? left.shift() : left.splice(at, 1)[0];
    if (reply === undefined) return resultPart(call, valueOutput(replies === undefined ? input : null));
    return resultPart(
      call,
      reply.error === undefined ? valueOutput(reply.value) : { type: "error-text", value: reply.error.message },
    );
  });
  return { role: "tool", content };
}

export function resultPart({ id, name }: ToolCallRequest, output: ToolResultPart["output"]): ToolResultPart {
  return { type: "tool-result", toolCallId: id, toolName: name, output };
}

/** A value as a model is told it: text as text, everything else as JSON. */
export function valueOutput(value: unknown): ToolResultPart["output"] {
  const content = userContent(value);
  return { type: "text", value: typeof content === "string" ? content : JSON.stringify(content) };
}

function keyOf({ runId, branchId }: Pick<AgentContext, "runId" | "branchId">): string {
  return `${PREFIX}${runId}/${branchId}`;
}
