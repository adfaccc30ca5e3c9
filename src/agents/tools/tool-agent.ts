// Tool agent: what a node of the topology runs that a tool was given to. Its input is the tool's, its output the tool's.

import { OrchestraError } from "../../base/errors.ts";
import { errorFromData } from "../../base/error-data.ts";
import { next } from "../../runtime/agent.ts";
import type { AgentContext, RunnableAgent } from "../../runtime/agent.ts";
import { approvalReply } from "./approval.ts";
import { callTool, type CallToolOptions, type ToolOutcome } from "./tool-runner.ts";
import type { Tool } from "./tool.ts";

export type ToolAgentOptions = Pick<CallToolOptions, "onUnknownOutcome" | "outputBytesMax">;

/**
 * An agent that runs `tool`. A refusal fails its step for good with `ORCH_TOOL_REFUSED`. What the tool throws fails the
 * step by its failure class when the tool is idempotent, so that the retry policy applies, and else for good.
 */
export function toolAgent(tool: Tool, options: ToolAgentOptions = {}, name: string = tool.name): RunnableAgent {
  return {
    name,
    ...(tool.description !== undefined && { description: tool.description }),
    // The tool's own limit ends it with a record, the step's would not.
    ...(tool.timeoutMs !== false && { timeoutMs: false }),
    run: async (input, ctx) => result(tool, await call(tool, input, ctx, options)),
  };
}

function call(tool: Tool, input: unknown, ctx: AgentContext, options: ToolAgentOptions): Promise<ToolOutcome> {
  const approval = approvalReply(ctx, input);
  // One call per activation of the node; approvals of it go by the same id.
  const id = approval?.prompt.toolCallId ?? ctx.stepId;
  return callTool(tool, { id, input }, ctx, { ...options, approval, failures: "throw" });
}

function result(tool: Tool, outcome: ToolOutcome): unknown {
  switch (outcome.type) {
    case "value":
      return outcome.value;
    case "approval":
      return outcome.ask;
    case "failed":
      return next.fail(errorFromData(outcome.error));
    case "refused":
      return next.fail(new OrchestraError("ORCH_TOOL_REFUSED", outcome.reason, { details: { tool: tool.name } }));
  }
}
