// Span attributes, by the names of OpenTelemetry's semantic conventions for generative AI
// (https://opentelemetry.io/docs/specs/semconv/gen-ai/); what they have no name for is `orchestra.…`.

import type { Attributes } from "@opentelemetry/api";

import type { CallReport, ModelCalled, ToolCalled } from "../base/call-report.ts";
import type { RunEvent } from "../runtime/engine-api.ts";

type StepEvent = Extract<RunEvent, { readonly stepId: string; readonly attempt: number }>;

export function runAttributes({ sessionId, runId }: RunEvent, workflowName: string | undefined): Attributes {
  return defined({
    "gen_ai.operation.name": "invoke_workflow",
    "gen_ai.workflow.name": workflowName,
    "gen_ai.conversation.id": sessionId,
    "orchestra.run.id": runId,
  });
}

export function stepAttributes({ sessionId, runId, node, stepId, branchId, attempt }: StepEvent): Attributes {
  return {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": node,
    "gen_ai.conversation.id": sessionId,
    "orchestra.run.id": runId,
    "orchestra.step.id": stepId,
    "orchestra.branch.id": branchId,
    "orchestra.attempt": attempt,
  };
}

export function usageAttributes(usage: unknown): Attributes {
  if (typeof usage !== "object" || usage === null) return {};
  const { inputTokens, outputTokens, costUsd } = usage as Partial<Record<string, number>>;
  return defined({
    "gen_ai.usage.input_tokens": inputTokens,
    "gen_ai.usage.output_tokens": outputTokens,
    "orchestra.usage.cost_usd": costUsd,
  });
}

export function callName(call: CallReport): string {
  return call.type === "model.called" ? `chat ${call.model}` : `execute_tool ${call.tool}`;
}

export function callAttributes(call: CallReport): Attributes {
  const error = call.error === undefined ? {} : { "error.type": call.error.code };
  return { ...(call.type === "model.called" ? chatAttributes(call) : toolAttributes(call)), ...error };
}

function chatAttributes(call: ModelCalled): Attributes {
  return defined({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": call.provider,
    "gen_ai.request.model": call.model,
    "gen_ai.response.model": call.responseModel,
    "gen_ai.response.id": call.responseId,
    "gen_ai.response.finish_reasons": call.finishReason === undefined ? undefined : [call.finishReason],
    "gen_ai.response.time_to_first_chunk": call.firstTokenMs === undefined ? undefined : call.firstTokenMs / 1_000,
    "gen_ai.usage.input_tokens": call.inputTokens,
    "gen_ai.usage.output_tokens": call.outputTokens,
    "gen_ai.usage.cache_read.input_tokens": call.cachedInputTokens,
    "orchestra.usage.cost_usd": call.costUsd,
  });
}

function toolAttributes({ tool, toolCallId }: ToolCalled): Attributes {
  return {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": tool,
    "gen_ai.tool.call.id": toolCallId,
  };
}

const CONTENT_LENGTH_MAX = 8_192;

/** What was said, as one message. Only where the user asked for content to be captured. */
export function messageAttribute(key: "gen_ai.input.messages" | "gen_ai.output.messages", value: unknown): Attributes {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "null");
  const content = text.length <= CONTENT_LENGTH_MAX ? text : `${text.slice(0, CONTENT_LENGTH_MAX - 1)}…`;
  const role = key === "gen_ai.input.messages" ? "user" : "assistant";
  return { [key]: JSON.stringify([{ role, parts: [{ type: "text", content }] }]) };
}

function defined(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}
