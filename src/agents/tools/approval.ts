// Approval: a tool call put before a person, as an ordinary question of the run
//
// The step that would make the call ends with the question; the answer begins another. What the first knew, the second
// finds in the question (tool, input, call id), and in what was carried over by `carryOver`.

import { next } from "../../runtime/agent.ts";
import type { AgentContext, Command } from "../../runtime/agent.ts";
import type { ApprovalAnswer, ApprovalPrompt } from "../../runtime/prompts.ts";
import type { Tool } from "./tool.ts";

/** Answered with an `ApprovalAnswer`, as other approvals are. */
export interface ToolApprovalPrompt extends ApprovalPrompt {
  readonly toolCallId: string;
  /** `outcome-unknown`: the call was begun and whether it had its effect nobody knows; approving runs it again. */
  readonly why: "policy" | "outcome-unknown";
}

/** What a person said to one call. */
export type ApprovalReply = { readonly prompt: ToolApprovalPrompt } & (
  | { readonly type: "approved"; readonly input: unknown }
  | { readonly type: "rejected"; readonly reason?: string }
);

export function askApproval(
  tool: Tool,
  { id, input }: { readonly id: string; readonly input: unknown },
  why: ToolApprovalPrompt["why"],
): Command {
  const prompt: ToolApprovalPrompt = { kind: "approval", tool: tool.name, input, toolCallId: id, why };
  if (why === "policy") return ask(tool, prompt);
  const message = `The tool "${tool.name}" was begun and its outcome is not known. May it be run again?`;
  return ask(tool, { ...prompt, message });
}

/** The same question, where it was answered with an input that the tool does not take. */
export function askApprovalAgain(tool: Tool, prompt: ToolApprovalPrompt, problem: string): Command {
  return ask(tool, { ...prompt, message: `${problem}. May the tool "${tool.name}" run?` });
}

function ask({ approvalTimeoutMs: timeoutMs = false }: Tool, prompt: ToolApprovalPrompt): Command {
  if (timeoutMs === false) return next.ask(prompt);
  const answer: ApprovalAnswer = { approved: false, reason: `nobody approved it within ${timeoutMs} ms` };
  return next.ask(prompt, { timeoutMs, onTimeout: { answer } });
}

/** What was answered to the approval this step follows; undefined when it follows none. `answer` is the step's input. */
export function approvalReply(ctx: Pick<AgentContext, "question">, answer: unknown): ApprovalReply | undefined {
  const prompt = ctx.question?.prompt;
  if (!isToolApproval(prompt)) return undefined;
  // The kernel took no answer of another form.
  const { approved, reason, input } = answer as ApprovalAnswer;
  if (approved) return { prompt, type: "approved", input: input === undefined ? prompt.input : input };
  return { prompt, type: "rejected", ...(reason !== undefined && { reason }) };
}

function isToolApproval(prompt: unknown): prompt is ToolApprovalPrompt {
  if (typeof prompt !== "object" || prompt === null) return false;
  const { kind, tool, toolCallId } = prompt as Partial<Record<keyof ToolApprovalPrompt, unknown>>;
  return kind === "approval" && typeof tool === "string" && typeof toolCallId === "string";
}

/** Keeps `carried` for the step that the answer to this step's question begins. It commits with the question. */
export function carryOver(ctx: Pick<AgentContext, "state" | "runId" | "branchId">, carried: unknown): void {
  ctx.state.set(carriedKey(ctx), { carried });
}

/** What the step that asked carried over to this one; it is kept no longer. Undefined when there was nothing. */
export function takeCarried<T = unknown>(
  ctx: Pick<AgentContext, "state" | "runId" | "branchId" | "question">,
): T | undefined {
  if (ctx.question === undefined) return undefined;
  const kept = ctx.state.get<{ carried: T }>(carriedKey(ctx));
  if (kept === undefined) return undefined;
  ctx.state.delete(carriedKey(ctx));
  return kept.carried;
}

// State is one per node, where several branches may stand at once; a branch waits for one answer at a time.
function carriedKey({ runId, branchId }: Pick<AgentContext, "runId" | "branchId">): string {
  return `asked/${runId}/${branchId}`;
}
