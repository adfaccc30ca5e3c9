// Approval: a tool call put before a person, as an ordinary question of the run
//
// The step that would make the call ends with the question; the answer begins another. What the first knew, the second
// finds in the question (tool, input, call id), and in what was carried over by `carryOver`.

import { next } from "../../runtime/agent.ts";
import type { AgentContext, Command } from "../../runtime/agent.ts";
import type { Tool } from "./tool.ts";

export interface ApprovalPrompt {
  readonly kind: "approval";
  readonly tool: string;
  /** As the caller gave it. */
  readonly input: unknown;
  readonly toolCallId: string;
  /** `outcome-unknown`: the call was begun and whether it had its effect nobody knows; approving runs it again. */
  readonly why: "policy" | "outcome-unknown";
  readonly message: string;
}

/** What a person said to one call. `unclear` approves nothing and is asked again. */
export type ApprovalReply = { readonly prompt: ApprovalPrompt } & (
  | { readonly type: "approved"; readonly input: unknown }
  | { readonly type: "rejected"; readonly reason?: string }
  | { readonly type: "unclear"; readonly problem: string }
);

export function askApproval(
  { name }: Pick<Tool, "name">,
  { id, input }: { readonly id: string; readonly input: unknown },
  why: ApprovalPrompt["why"],
): Command {
  const message =
    why === "policy"
      ? `May the tool "${name}" be run?`
      : `The tool "${name}" was begun and its outcome is not known. Is it to be run again?`;
  return next.ask({ kind: "approval", tool: name, input, toolCallId: id, why, message } satisfies ApprovalPrompt);
}

/** The same question again, with what was wrong with the answer. */
export function askApprovalAgain(prompt: ApprovalPrompt, problem: string): Command {
  return next.ask({ ...prompt, message: `${problem}. ${FORMS}` } satisfies ApprovalPrompt);
}

export function isApprovalPrompt(prompt: unknown): prompt is ApprovalPrompt {
  return (
    isRecord(prompt) &&
    prompt["kind"] === "approval" &&
    typeof prompt["tool"] === "string" &&
    typeof prompt["toolCallId"] === "string"
  );
}

/** What was answered to the approval this step follows; undefined when it follows none. `answer` is the step's input. */
export function approvalReply(ctx: Pick<AgentContext, "question">, answer: unknown): ApprovalReply | undefined {
  const prompt = ctx.question?.prompt;
  return isApprovalPrompt(prompt) ? readReply(prompt, answer) : undefined;
}

const FORMS =
  'Expected "approve" or "reject", or { "decision": "approve" | "reject", "reason"?: text, "input"?: changed input }';
const WORDS: ReadonlyMap<unknown, "approved" | "rejected"> = new Map<unknown, "approved" | "rejected">([
  [true, "approved"],
  ["approve", "approved"],
  ["approved", "approved"],
  ["yes", "approved"],
  ["y", "approved"],
  [false, "rejected"],
  ["reject", "rejected"],
  ["rejected", "rejected"],
  ["no", "rejected"],
  ["n", "rejected"],
]);

function readReply(prompt: ApprovalPrompt, answer: unknown): ApprovalReply {
  const { decision, reason, input, ...rest } = isRecord(answer) ? answer : { decision: answer };
  const type = WORDS.get(typeof decision === "string" ? decision.trim().toLowerCase() : decision);
  const [unknown] = Object.keys(rest);
  const unclear = (problem: string): ApprovalReply => ({ prompt, type: "unclear", problem });
  if (type === undefined) return unclear("The answer says neither approve nor reject");
  if (unknown !== undefined) return unclear(`The answer has a field "${unknown}" that means nothing here`);
  if (reason !== undefined && typeof reason !== "string") return unclear("The reason is no text");
  if (type === "rejected") return { prompt, type, ...(reason !== undefined && { reason }) };
  return { prompt, type, input: input === undefined ? prompt.input : input };
}

/** Keeps `carried` for the step that the answer to this step's question begins. It commits with the question. */
export function carryOver(ctx: Pick<AgentContext, "state" | "branchId">, carried: unknown): void {
  ctx.state.set(carriedKey(ctx), { carried });
}

/** What the step that asked carried over to this one; it is kept no longer. Undefined when there was nothing. */
export function takeCarried<T = unknown>(ctx: Pick<AgentContext, "state" | "branchId" | "question">): T | undefined {
  if (ctx.question === undefined) return undefined;
  const kept = ctx.state.get<{ carried: T }>(carriedKey(ctx));
  if (kept === undefined) return undefined;
  ctx.state.delete(carriedKey(ctx));
  return kept.carried;
}

// State is one per node, where several branches may stand at once; a branch waits for one answer at a time.
function carriedKey({ branchId }: Pick<AgentContext, "branchId">): string {
  return `asked/${branchId}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
