// Native tools: steering as tool calls of the model, for models that have them.

import type { SteeringMode } from "../../runtime/agent.ts";
import { decideAction, refuse, type Action, type SteeredReply } from "./action.ts";
import { readAgentInput, readInvocation, readRecovery, type Reading } from "./action-input.ts";
import { isSteered, type AllowedActions } from "./allowed-actions.ts";
import { nativeNames } from "./native-names.ts";

export interface SteeringTool {
  readonly name: string;
  readonly description: string;
  readonly inputJsonSchema: Readonly<Record<string, unknown>>;
}

export interface NativeCall {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
}

/** The tools that stand for what is allowed; none where there is nothing to steer. */
export function steeringTools(allowed: AllowedActions, mode: SteeringMode): readonly SteeringTool[] {
  if (!isSteered(allowed, mode)) return [];
  const names = nativeNames(allowed.tools);
  const targets = [...allowed.calls.map(({ agent }) => agent), ...allowed.exits];
  const tools: SteeringTool[] = [];
  if (allowed.calls.length > 0)
    tools.push({
      name: names.invoke,
      description: `Calls an agent of your team.${allowed.mayParallel && targets.length > 1 ? " Call this tool several times in one reply to call several agents at once." : ""}`,
      inputJsonSchema: object({ agent: { type: "string", enum: targets }, input: VALUE("What the agent is to do.") }, [
        "agent",
        "input",
      ]),
    });
  if (allowed.mayFinish)
    tools.push({
      name: names.final,
      description: "Gives your final answer.",
      inputJsonSchema: object({ response: VALUE("The answer.") }, ["response"]),
    });
  if (allowed.mayAskUser)
    tools.push({
      name: names.ask,
      description: "Asks the user and waits for the answer.",
      inputJsonSchema: object({ question: { type: "string" } }, ["question"]),
    });
  if (allowed.failure !== undefined)
    tools.push({
      name: names.recover,
      description: "Says how to go on after the failure: try again, go on without it, or give up.",
      inputJsonSchema: object(
        {
          action: { type: "string", enum: [...(allowed.failure.retry === null ? [] : ["retry"]), "skip", "abort"] },
          input: VALUE("retry: what to try again with, if it is to be changed. skip: what to go on with."),
        },
        ["action"],
      ),
    });
  return tools;
}

/**
 * What the tool calls of one reply come to, if any of them is a call of steering; undefined: they are all the agent's own.
 * Several calls of `invoke_agent` are one parallel command; any other mixture is refused.
 */
export function readSteeringCalls(calls: readonly NativeCall[], allowed: AllowedActions): SteeredReply | undefined {
  const names = nativeNames(allowed.tools);
  const own = new Set<string>([names.invoke, names.final, names.ask, names.recover]);
  const steering = calls.filter(({ name }) => own.has(name));
  const [first] = steering;
  if (first === undefined) return undefined;
  if (steering.length < calls.length)
    return refuse(allowed, `one reply cannot both use tools and call ${first.name}; use the tools first`);
  if (steering.some(({ name }) => name !== first.name))
    return refuse(
      allowed,
      `one reply cannot call ${[...new Set(steering.map(({ name }) => name))].join(" and ")} together`,
    );
  if (first.name !== names.invoke && steering.length > 1)
    return refuse(allowed, `${first.name} may be called once in a reply, not ${steering.length} times`);
  const read = readNative(first.name, steering, names);
  return read.type === "misfit" ? refuse(allowed, `${first.name}: ${read.reason}`) : decideAction(read.action, allowed);
}

function readNative(
  name: string,
  calls: readonly NativeCall[],
  names: ReturnType<typeof nativeNames>,
): Reading<Action> {
  const input = calls[0]?.input;
  if (name === names.final)
    return { type: "read", action: { type: "final", value: readAgentInput(input, "response") } };
  if (name === names.ask) return { type: "read", action: { type: "ask", prompt: readAgentInput(input, "question") } };
  if (name === names.recover) return readRecovery(input);
  const items = [];
  for (const call of calls) {
    const item = readInvocation(call.input);
    if (item.type === "misfit") return item;
    items.push(item.action);
  }
  return { type: "read", action: { type: "invoke", items } };
}

const VALUE = (description: string): Record<string, unknown> => ({ type: ["string", "object", "array"], description });

function object(properties: Record<string, unknown>, required: readonly string[]): Record<string, unknown> {
  return { type: "object", properties, required, additionalProperties: false };
}
