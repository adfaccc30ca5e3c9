// Instructions: what a model is told of its place in the topology. Written for models: short, literal, one thing per line.

import type { SteeringMode } from "../../runtime/agent.ts";
import { isSteered, type AllowedActions, type AllowedCall } from "./allowed-actions.ts";
import { nativeNames } from "./native-names.ts";

/** To stand behind the agent's own instructions; empty where there is nothing to tell. */
export function steeringInstructions(allowed: AllowedActions, mode: SteeringMode): string {
  if (!isSteered(allowed, mode)) return "";
  const native = nativeToolsText(allowed);
  if (mode === "always") return [...placeText(allowed), native, contractText(allowed)].filter(Boolean).join("\n");
  return [...placeText(allowed), native, SHORT_FORM].filter(Boolean).join("\n");
}

/** What is allowed, with the form of a reply: for a model whose reply was refused. */
export function allowedText(allowed: AllowedActions): string {
  return [...placeText(allowed), contractText(allowed)].join("\n");
}

const SHORT_FORM =
  'Where you cannot call tools, reply with nothing but {"next_action": "<tool>", "action_input": <its input>} instead.';

function placeText(allowed: AllowedActions): string[] {
  const { calls, mayFinish, mayAskUser, mayParallel, plainValue, failure } = allowed;
  const lines: string[] = [];
  if (failure !== undefined) {
    const at = failure.error.node === undefined ? "" : ` at ${failure.error.node}`;
    lines.push(`You handle a failure${at}: ${failure.error.code}: ${failure.error.message}`);
  }
  if (calls.length > 0) lines.push("You may call these agents:", ...calls.map(callText));
  else lines.push("You may not call other agents.");
  if (mayParallel && calls.length > 1) lines.push("You may call several at once.");
  lines.push(
    mayFinish ? finishText(plainValue) : "You may not give the final answer: the work goes on with an agent above.",
  );
  if (plainValue === "flow" && calls.length > 0)
    lines.push("A reply that calls nobody goes on by the rules of the team.");
  if (mayAskUser) lines.push("You may ask the user when only they can answer.");
  return lines;
}

function callText({ agent, how, description }: AllowedCall): string {
  const what = {
    call: "it answers you",
    flow: "it takes over",
    peer: "it takes over",
    conversation: "you talk with each other",
  }[how];
  return `- ${agent} (${what})${description === undefined ? "" : `: ${oneLine(description)}`}`;
}

function finishText(plainValue: AllowedActions["plainValue"]): string {
  if (plainValue === "turn")
    return "What you say goes to the other side of the conversation, until you give the final answer.";
  return plainValue === "reply" ? "Your final answer goes back to your caller." : "You may give the final answer.";
}

function nativeToolsText(allowed: AllowedActions): string {
  const names = nativeNames(allowed.tools);
  const offered = [
    ...(allowed.calls.length > 0 ? [names.invoke] : []),
    ...(allowed.mayFinish ? [names.final] : []),
    ...(allowed.mayAskUser ? [names.ask] : []),
    ...(allowed.failure !== undefined ? [names.recover] : []),
  ];
  return offered.length === 0
    ? ""
    : `To do so, call ${offered.length === 1 ? "the tool" : "one of the tools"} ${offered.join(", ")}.`;
}

/** The JSON contract, with the actions that are allowed and no others. */
export function contractText(allowed: AllowedActions): string {
  const { calls, mayFinish, mayAskUser, mayParallel, plainValue, tools, failure } = allowed;
  const someone = calls[0]?.agent;
  const forms: string[] = [];
  const form = (action: string, input: unknown): unknown =>
    forms.push(`{"next_action": "${action}", "action_input": ${JSON.stringify(input)}}`);
  if (someone !== undefined) form("invoke_agent", { agent: someone, input: "what it is to do" });
  if (someone !== undefined && mayParallel)
    form(
      "parallel_invoke",
      calls.slice(0, 2).map(({ agent }) => ({ agent, input: "what it is to do" })),
    );
  if (tools[0] !== undefined) form("call_tool", { tool: tools[0], input: {} });
  if (mayAskUser) form("ask_user", "the question");
  if (mayFinish) form("final_response", "the answer");
  if (plainValue === "turn") form("end_conversation", "your last word");
  if (failure !== undefined) form("error_recovery", { action: failure.retry === null ? "skip" : "retry" });
  if (forms.length === 0) return "Reply with your answer as plain text.";
  const recovery =
    failure === undefined
      ? []
      : [`error_recovery takes the action ${failure.retry === null ? "skip or abort" : "retry, skip or abort"}.`];
  return [
    'Reply with one JSON object and nothing else, in one of these forms ("thought" may be added):',
    ...forms,
    ...recovery,
  ].join("\n");
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}
