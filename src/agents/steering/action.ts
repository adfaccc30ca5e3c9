// Action: one thing an agent asks for, whichever way it said so, and the verdict on it.

import { next, type Command } from "../../runtime/agent.ts";
import type { AllowedActions, AllowedCall } from "./allowed-actions.ts";
import { allowedText } from "./instructions.ts";

export const ACTION_NAMES = [
  "invoke_agent",
  "parallel_invoke",
  "call_tool",
  "ask_user",
  "final_response",
  "end_conversation",
  "error_recovery",
] as const;

export interface Invocation {
  readonly agent: string;
  readonly input: unknown;
}

export type Action =
  | { readonly type: "invoke"; readonly items: readonly Invocation[] }
  | { readonly type: "tool"; readonly name: string; readonly input: unknown }
  | { readonly type: "ask"; readonly prompt: unknown }
  | { readonly type: "final"; readonly value: unknown }
  | { readonly type: "end_conversation"; readonly value: unknown }
  | { readonly type: "recover"; readonly how: "retry" | "skip" | "abort"; readonly value: unknown };

/** What a reply comes to. `refused` goes back to the model and is never output. */
export type SteeredReply =
  | { readonly type: "output"; readonly value: unknown }
  | { readonly type: "command"; readonly command: Command }
  | { readonly type: "tool"; readonly name: string; readonly input: unknown }
  | Refused;

export interface Refused {
  readonly type: "refused";
  readonly reason: string;
  /** What is allowed instead, for the model to read. */
  readonly allowed: string;
}

export function decideAction(action: Action, allowed: AllowedActions): SteeredReply {
  switch (action.type) {
    case "invoke":
      return decideInvoke(action.items, allowed);
    case "tool":
      return decideTool(action, allowed);
    case "ask":
      return allowed.mayAskUser
        ? command(next.ask(action.prompt))
        : refuse(allowed, "ask_user is not allowed here: this team has nobody to ask");
    case "final":
      return decideFinal(action.value, allowed);
    case "end_conversation":
      return allowed.plainValue === "turn"
        ? command(next.final(action.value))
        : refuse(allowed, "end_conversation is not allowed here: there is no conversation to end");
    case "recover":
      return decideRecovery(action, allowed);
  }
}

/** Text that is no action: a value, unless it would go to every callee, which a model does not mean by an answer. */
export function decidePlain(value: unknown, allowed: AllowedActions): SteeredReply {
  if (allowed.plainValue !== "call") return { type: "output", value };
  if (allowed.mayFinish) return decideFinal(value, allowed);
  return refuse(allowed, "the reply does not say which agent it is for");
}

export function refuse(allowed: AllowedActions, reason: string): Refused {
  return { type: "refused", reason, allowed: allowedText(allowed) };
}

function command(made: Command): SteeredReply {
  return { type: "command", command: made };
}

function decideFinal(value: unknown, allowed: AllowedActions): SteeredReply {
  if (!allowed.mayFinish) {
    const others = allowed.calls.map(({ agent }) => agent).join(", ");
    return refuse(allowed, `final_response is not allowed here: the work goes on with ${others}`);
  }
  switch (allowed.plainValue) {
    case "reply":
    case "deliver":
      return { type: "output", value };
    case "turn":
      return command(next.final(value));
    case "call":
    case "conversation":
    case "flow": {
      // A plain value would go elsewhere. Over an exit it ends this branch; without one to name it ends the frame.
      const [exit] = allowed.exits;
      return command(exit === undefined ? next.final(value) : next.invoke(exit, value));
    }
  }
}

function decideInvoke(items: readonly Invocation[], allowed: AllowedActions): SteeredReply {
  const [first, ...more] = items;
  if (first === undefined) return refuse(allowed, "no agent is named");
  const found: { readonly invocation: Invocation; readonly how: AllowedCall["how"] | "exit" }[] = [];
  for (const { agent, input } of items) {
    const target = targetNamed(agent, allowed);
    if (target === undefined) return refuse(allowed, `agent ${JSON.stringify(agent)} may not be called from here`);
    found.push({ invocation: { agent: target.agent, input }, how: target.how });
  }
  if (more.length === 0) {
    const [{ invocation }] = found as [(typeof found)[number]];
    return command(next.invoke(invocation.agent, invocation.input));
  }
  const ways = new Set(found.map(({ how }) => how));
  const alone = found.find(({ how }) => how !== "call" && how !== "flow");
  if (alone !== undefined)
    return refuse(allowed, `${alone.invocation.agent} cannot be called side by side with others`);
  if (ways.size > 1) {
    const named = (way: string) => found.flatMap(({ invocation, how }) => (how === way ? [invocation.agent] : []));
    return refuse(
      allowed,
      `one reply cannot both call agents that come back (${named("call").join(", ")}) and hand over to others (${named("flow").join(", ")})`,
    );
  }
  return command(next.parallel(found.map(({ invocation }) => invocation)));
}

/** By its name, or by one that differs in case and outer space only, if that is no other's. */
function targetNamed(
  name: string,
  { calls, exits }: AllowedActions,
): { readonly agent: string; readonly how: AllowedCall["how"] | "exit" } | undefined {
  const targets = [...calls, ...exits.map((agent) => ({ agent, how: "exit" as const }))];
  const exact = targets.find(({ agent }) => agent === name);
  if (exact !== undefined) return exact;
  const near = targets.filter(({ agent }) => agent.trim().toLowerCase() === name.trim().toLowerCase());
  return near.length === 1 ? near[0] : undefined;
}

function decideTool({ name, input }: { name: string; input: unknown }, allowed: AllowedActions): SteeredReply {
  if (allowed.tools.includes(name)) return { type: "tool", name, input };
  const known = allowed.tools.length === 0 ? "there are no tools" : `the tools are ${allowed.tools.join(", ")}`;
  return refuse(allowed, `there is no tool ${JSON.stringify(name)}; ${known}`);
}

function decideRecovery(
  { how, value }: { how: "retry" | "skip" | "abort"; value: unknown },
  allowed: AllowedActions,
): SteeredReply {
  const { failure } = allowed;
  if (failure === undefined) return refuse(allowed, "error_recovery is not allowed here: nothing has failed");
  switch (how) {
    case "abort":
      return command(next.fail(failure.error));
    case "skip":
      return decideSkip(value ?? null, failure.retry, allowed);
    case "retry":
      return failure.retry === null
        ? refuse(
            allowed,
            `retry is not allowed here: ${failure.error.node ?? "what failed"} cannot be called from here`,
          )
        : command(next.invoke(failure.retry, value === undefined ? failure.input : value));
  }
}

/** On without what failed: every way but the one back to it, which a plain value would take too. */
function decideSkip(value: unknown, failed: string | null, allowed: AllowedActions): SteeredReply {
  if (failed === null || allowed.plainValue !== "flow") return decidePlain(value, allowed);
  const onward = allowed.calls.filter(({ agent, how }) => how === "flow" && agent !== failed);
  if (onward.length > 0)
    return decideInvoke(
      onward.map(({ agent }) => ({ agent, input: value })),
      allowed,
    );
  return allowed.mayFinish
    ? decideFinal(value, allowed)
    : refuse(allowed, `skip is not allowed here: the only way on is ${failed}`);
}
