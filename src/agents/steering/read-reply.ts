// Read reply: what the text of a model comes to, by the JSON contract `{ thought?, next_action, action_input }`.

import type { SteeringMode } from "../../runtime/agent.ts";
import { ACTION_NAMES, decideAction, decidePlain, refuse, type Action, type SteeredReply } from "./action.ts";
import { readInvocations, readRecovery, readToolCall, type Reading } from "./action-input.ts";
import type { AllowedActions } from "./allowed-actions.ts";
import { findContract, type Contract } from "./find-contract.ts";

/**
 * Never throws. Text without a contract is a plain value, unless `mode` is "always"; in mode "never" all text is. A contract
 * that is broken, unknown or not allowed here is refused, with the reason.
 */
export function readReply(text: string, allowed: AllowedActions, mode: SteeringMode): SteeredReply {
  if (mode === "never") return { type: "output", value: text };
  const found = findContract(text);
  switch (found.type) {
    case "none":
      return mode === "always" ? refuse(allowed, "the reply is no action") : decidePlain(text, allowed);
    case "several":
      return refuse(allowed, "the reply holds several actions; expected one");
    case "broken":
      return refuse(allowed, found.reason);
    case "one": {
      const reading = readAction(found.contract);
      return reading.type === "misfit" ? refuse(allowed, reading.reason) : decideAction(reading.action, allowed);
    }
  }
}

function readAction(contract: Contract): Reading<Action> {
  const name = contract["next_action"];
  const input = contract["action_input"];
  const reading = readNamed(name, input, Object.hasOwn(contract, "action_input"));
  return reading.type === "misfit" && typeof name === "string"
    ? { type: "misfit", reason: `${name}: ${reading.reason}` }
    : reading;
}

function readNamed(name: unknown, input: unknown, hasInput: boolean): Reading<Action> {
  switch (name) {
    case "invoke_agent":
    case "parallel_invoke":
      return readInvocations(input);
    case "call_tool":
      return readToolCall(input);
    case "ask_user":
      return hasInput
        ? { type: "read", action: { type: "ask", prompt: input } }
        : { type: "misfit", reason: 'expected the question as "action_input"' };
    case "final_response":
      return hasInput
        ? { type: "read", action: { type: "final", value: input } }
        : { type: "misfit", reason: 'expected the answer as "action_input"' };
    case "end_conversation":
      return { type: "read", action: { type: "end_conversation", value: input ?? null } };
    case "error_recovery":
      return readRecovery(input);
    default:
      return { type: "misfit", reason: `next_action: expected one of ${ACTION_NAMES.join(", ")}, got ${shown(name)}` };
  }
}

function shown(value: unknown): string {
  if (typeof value !== "string") return value === null ? "null" : `a value of type ${typeof value}`;
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
