// Tool turn: the tool calls of one reply, made side by side, and what the model is told of them.

import type { ModelMessage, ToolResultPart } from "ai";
import { OrchestraError } from "../../base/errors.ts";
import type { AgentContext, Command } from "../../runtime/agent.ts";
import { approvalReply } from "../tools/approval.ts";
import { callTool, type ToolOutcome } from "../tools/tool-runner.ts";
import type { Tool, ToolSource } from "../tools/tool.ts";
import type { ToolCallRequest } from "./model-call.ts";
import { carryTalk, resultPart, valueOutput, type OpenToolCall, type Talk } from "./talk.ts";

/** @throws {OrchestraError} `ORCH_BAD_OPTION` for two of one name: the policy of one must not count for the other. */
export async function toolsOf(
  given: readonly (Tool | ToolSource)[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Tool>> {
  const lists = await Promise.all(given.map(async (one) => ("tools" in one ? one.tools(signal) : [one])));
  const byName = new Map<string, Tool>();
  for (const tool of lists.flat()) {
    if (byName.has(tool.name))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `two tools are named "${tool.name}"; expected each name once (those of an MCP server get others by its option "prefix")`,
      );
    byName.set(tool.name, tool);
  }
  return byName;
}

/** Calls get ids of our own: some servers number those of each reply from 0 again. */
export function opened(calls: readonly ToolCallRequest[], messages: readonly ModelMessage[]): OpenToolCall[] {
  const turn = messages.filter(({ role }) => role === "assistant").length;
  return calls.map((call, i) => ({ ...call, callId: `${turn}.${i}` }));
}

/**
 * Makes the calls that have no result yet and puts all results behind `messages`. Where a person must approve one first,
 * returns the question instead; the talk goes on with the answer.
 */
export async function makeToolCalls(
  messages: ModelMessage[],
  { calls, native }: { readonly calls: readonly OpenToolCall[]; readonly native: boolean },
  tools: ReadonlyMap<string, Tool>,
  ctx: AgentContext,
  answer?: unknown,
): Promise<Command | undefined> {
  const approval = approvalReply(ctx, answer);
  const asks = calls.map((): Command | undefined => undefined);
  const made = await Promise.all(
    calls.map(async (call, i): Promise<OpenToolCall> => {
      const tool = tools.get(call.name);
      if (call.result !== undefined) return call;
      if (tool === undefined)
        return { ...call, result: { type: "error-text", value: `there is no tool ${call.name}` } };
      const outcome = await callTool(tool, { id: call.callId, input: call.input }, ctx, { approval });
      if (outcome.type !== "approval") return { ...call, result: resultOf(outcome) };
      asks[i] = outcome.ask;
      return call;
    }),
  );
  const ask = asks.find((one) => one !== undefined);
  if (ask !== undefined) {
    carryTalk(ctx, { messages, open: { type: "tools", calls: made, native } } satisfies Talk);
    return ask;
  }
  const results = made.map((call) => ({ call, output: call.result as ToolResultPart["output"] }));
  if (native) messages.push({ role: "tool", content: results.map(({ call, output }) => resultPart(call, output)) });
  else messages.push({ role: "user", content: results.map(({ call, output }) => inWords(call, output)).join("\n\n") });
  return undefined;
}

function resultOf(outcome: Exclude<ToolOutcome, { type: "approval" }>): ToolResultPart["output"] {
  switch (outcome.type) {
    case "value":
      return valueOutput(outcome.value);
    case "refused":
      return { type: "error-text", value: outcome.reason };
    case "failed":
      return { type: "error-text", value: `${outcome.error.code}: ${outcome.error.message}` };
  }
}

function inWords({ name }: ToolCallRequest, output: ToolResultPart["output"]): string {
  const text = "value" in output ? String(output.value) : "";
  return output.type === "error-text" ? `The tool ${name} failed: ${text}` : `Result of the tool ${name}:\n${text}`;
}
