// Allowed actions: what an agent may do where it stands, from what its context says of the topology.

import type { ErrorData } from "../../base/errors.ts";
import type { AgentContext, SteeringMode } from "../../runtime/agent.ts";

export interface AllowedCall {
  readonly agent: string;
  readonly how: "flow" | "call" | "peer" | "conversation";
  readonly description?: string;
}

export interface AllowedActions {
  /** Whom the agent may address. Over `flow` and `peer` it does not come back by itself, over `call` it does. */
  readonly calls: readonly AllowedCall[];
  /** Exits it may name instead of finishing, such as `User` or `End`. */
  readonly exits: readonly string[];
  readonly mayFinish: boolean;
  readonly mayAskUser: boolean;
  readonly mayParallel: boolean;
  /** The agent's own tools, by name. */
  readonly tools: readonly string[];
  readonly plainValue: AgentContext["place"]["plainValue"];
  /** What it handles, behind an error edge: `error_recovery` is open to it. */
  readonly failure?: Failure;
}

export interface Failure {
  readonly error: ErrorData;
  /** What the failed step was given; the input of a retry that names no other. */
  readonly input: unknown;
  /** The failed node, where it may be addressed again. */
  readonly retry: string | null;
}

export interface AllowedOptions {
  /** Leaves out agents the topology would allow, such as specialists the run's context does not name. */
  readonly only?: (agent: string) => boolean;
  /** Says what an agent is for, where it does not say so itself. */
  readonly describe?: (agent: string) => string | undefined;
  /** What this step was given. An error handler gets the failed step's input. */
  readonly input?: unknown;
}

export function allowedActions(
  ctx: Pick<AgentContext, "successors" | "place" | "error">,
  tools: readonly string[],
  { only = () => true, describe, input }: AllowedOptions = {},
): AllowedActions {
  const calls = ctx.successors.flatMap(({ agent, how, description: own }): AllowedCall[] => {
    if (how === "exit" || !only(agent)) return [];
    const description = own ?? describe?.(agent);
    return [{ agent, how, ...(description !== undefined && { description }) }];
  });
  const failedNode = ctx.error?.node;
  const retry = failedNode !== undefined && calls.some(({ agent }) => agent === failedNode) ? failedNode : null;
  return {
    calls,
    exits: ctx.successors.flatMap(({ agent, how }) => (how === "exit" ? [agent] : [])),
    mayFinish: ctx.place.mayFinish,
    mayAskUser: ctx.place.mayAsk,
    mayParallel: calls.some(({ how }) => how === "call" || how === "flow"),
    tools,
    plainValue: ctx.place.plainValue,
    ...(ctx.error !== undefined && { failure: { error: ctx.error, input, retry } }),
  };
}

/** What is left to an agent that is not steered: its tools, and an answer, which goes where the topology sends it. */
export function toolsOnly({ tools }: AllowedActions): AllowedActions {
  return {
    calls: [],
    exits: [],
    mayFinish: true,
    mayAskUser: false,
    mayParallel: false,
    tools,
    plainValue: "deliver",
  };
}

/** Whether the agent has something to decide beside what it says: with one way on, or none, there is nothing to steer. */
export function hasChoice({ calls, exits, mayFinish, mayAskUser, failure, plainValue }: AllowedActions): boolean {
  if (failure !== undefined || mayAskUser || plainValue === "turn") return true;
  if (calls.some(({ how }) => how !== "flow")) return true;
  return calls.length > 1 || (calls.length === 1 && (mayFinish || exits.length > 0));
}

/** Whether the agent is steered at all. */
export function isSteered(allowed: AllowedActions, mode: SteeringMode): boolean {
  return mode === "always" || (mode === "auto" && hasChoice(allowed));
}
