// Tool runner
//
// Owns:      one call of a tool: its policy, its record in the journal, its time limit, the size of its output.
// Does not:  decide what is done about an outcome; the caller does: a model's loop, or a tool node.
//
// T1  A call has one outcome: it is recorded before anyone sees it, and whoever makes the same call again in this step,
//     after a crash too, gets the record.
// T2  A tool that is not idempotent is run at most once: that it begins is recorded before it does, and a call that was
//     begun elsewhere and has no outcome is not run again, but told to be unknown, or put before a person.
// T3  Of inputs and outputs nothing is logged.

import { systemClock, type Clock } from "../../base/clock.ts";
import { errorToData } from "../../base/error-data.ts";
import { OrchestraError, type ErrorData } from "../../base/errors.ts";
import { createIds, type Ids } from "../../base/ids.ts";
import { systemRandom } from "../../base/random.ts";
import { copyValue } from "../../base/value.ts";
import type { AgentContext, Command } from "../../runtime/agent.ts";
import { askApproval, askApprovalAgain, type ApprovalReply } from "./approval.ts";
import { timeLimited } from "./time-limit.ts";
import type { Tool, ToolContext } from "./tool.ts";

export interface ToolCall {
  /** Unique among the calls of the step: the same id is the same call. */
  readonly id: string;
  readonly input: unknown;
}

export type ToolOutcome =
  | { readonly type: "value"; readonly value: unknown }
  /** By its policy, or by a person. */
  | { readonly type: "refused"; readonly reason: string }
  | { readonly type: "failed"; readonly error: ErrorData }
  /** `ask` is to be returned from the step; the answer's step makes the call again, with `approval`. */
  | { readonly type: "approval"; readonly ask: Command };

export interface CallToolOptions {
  /** What was answered to the approval this step follows (`approvalReply`). Other calls than the one it is about take no notice. */
  readonly approval?: ApprovalReply | undefined;
  /** T2: `report` is the outcome `failed` with `ORCH_TOOL_OUTCOME_UNKNOWN`, `ask` that of `approval`. Default "report". */
  readonly onUnknownOutcome?: "report" | "ask";
  /** Largest output, in bytes; a larger one fails the call. Default 1 MiB. */
  readonly outputBytesMax?: number;
  /** `throw`: what an idempotent tool throws is thrown and not recorded, so that another attempt of the step runs it again. Default "record". */
  readonly failures?: "record" | "throw";
  readonly clock?: Clock;
  readonly ids?: Ids;
}

export const DEFAULT_TOOL_TIMEOUT_MS = 60_000;
export const DEFAULT_TOOL_OUTPUT_BYTES_MAX = 1024 * 1024;

/**
 * Makes one call of `tool` in the step of `ctx`. Rejects when the step is stopped, and with what `failures: "throw"` lets
 * through; everything else is an outcome.
 */
export async function callTool(
  tool: Tool,
  call: ToolCall,
  ctx: AgentContext,
  options: CallToolOptions = {},
): Promise<ToolOutcome> {
  const reply = isAbout(options.approval, tool, call) ? options.approval : undefined;
  if (tool.policy === "block") return { type: "refused", reason: `the tool "${tool.name}" is blocked` };
  if (reply?.type === "rejected") return { type: "refused", reason: rejected(tool, reply.reason) };

  const given = reply === undefined ? call.input : reply.input;
  let input: unknown;
  try {
    input = await tool.parseInput(given);
  } catch (error) {
    const data = errorToData(error, { fallbackCode: "ORCH_INVALID_INPUT" });
    return reply === undefined
      ? { type: "failed", error: data }
      : { type: "approval", ask: askApprovalAgain(tool, reply.prompt, data.message) };
  }
  if (tool.policy === "approve" && reply === undefined)
    return { type: "approval", ask: askApproval(tool, call, "policy") };

  const outcome = await ctx.once(`tool/${call.id}`, () => begin(tool, { id: call.id, input }, ctx, options));
  if (outcome.type === "unknown")
    return options.onUnknownOutcome === "ask"
      ? { type: "approval", ask: askApproval(tool, { id: call.id, input: given }, "outcome-unknown") }
      : { type: "failed", error: unknownOutcome(tool, call) };
  return outcome;
}

function isAbout(reply: ApprovalReply | undefined, { name }: Tool, { id }: ToolCall): boolean {
  return reply?.prompt.toolCallId === id && reply.prompt.tool === name;
}

type Recorded = Extract<ToolOutcome, { type: "value" | "failed" }> | { readonly type: "unknown" };

async function begin(tool: Tool, call: ToolCall, ctx: AgentContext, options: CallToolOptions): Promise<Recorded> {
  if (tool.idempotent) return run(tool, call, ctx, options);
  // Whose record it is shows in its content: another attempt's may have come first, at any time.
  const mine = (options.ids ?? createIds(systemClock(), systemRandom())).next("begun");
  const begun = await ctx.once(`tool-begun/${call.id}`, () => mine);
  return begun === mine ? run(tool, call, ctx, options) : { type: "unknown" };
}

async function run(tool: Tool, call: ToolCall, ctx: AgentContext, options: CallToolOptions): Promise<Recorded> {
  const { clock = systemClock(), outputBytesMax = DEFAULT_TOOL_OUTPUT_BYTES_MAX } = options;
  const startedAtMs = clock.monotonicMs();
  const told = (error?: ErrorData): void => {
    const about = { tool: tool.name, toolCallId: call.id, tookMs: Math.round(clock.monotonicMs() - startedAtMs) };
    ctx.logger.debug({ ...about, outcome: error?.code ?? "value" }, "a tool was called");
    const failure = error === undefined ? {} : { error: { code: error.code, message: error.message } };
    ctx.report({ type: "tool.called", ...about, ...failure });
  };
  try {
    const output = await timeLimited(
      { what: `tool "${tool.name}"`, limitMs: tool.timeoutMs ?? DEFAULT_TOOL_TIMEOUT_MS, signal: ctx.signal, clock },
      async (signal) => tool.run(call.input, toolContext(tool, call, ctx, signal)),
    );
    const { value } = copyValue(output, { name: `output of tool ${tool.name}`, bytesMax: outputBytesMax });
    told();
    return { type: "value", value };
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    const data = errorToData(error, { fallbackCode: "ORCH_TOOL_FAILED" });
    told(data);
    if (tool.idempotent && options.failures === "throw") throw error;
    return { type: "failed", error: data };
  }
}

function toolContext(tool: Tool, { id }: ToolCall, ctx: AgentContext, signal: AbortSignal): ToolContext {
  const { sessionId, runId, stepId, idempotencyKey } = ctx;
  return {
    sessionId,
    runId,
    stepId,
    toolCallId: id,
    idempotencyKey: `${idempotencyKey}/${id}`,
    signal,
    logger: ctx.logger.child({ tool: tool.name, toolCallId: id }),
    emit: (chunk) => {
      if (!signal.aborted) ctx.emit({ type: "tool-progress", tool: tool.name, toolCallId: id, chunk });
    },
  };
}

function rejected({ name }: Tool, reason: string | undefined): string {
  return `the call of the tool "${name}" was rejected${reason === undefined || reason === "" ? "" : `: ${reason}`}`;
}

function unknownOutcome({ name }: Tool, { id }: ToolCall): ErrorData {
  return errorToData(
    new OrchestraError(
      "ORCH_TOOL_OUTCOME_UNKNOWN",
      `the tool "${name}" was begun and the process ended before its outcome was recorded; it is not idempotent, so it was not run again`,
      { details: { tool: name, toolCallId: id } },
    ),
  );
}
