// Fallback chain: several agents for one job, asked in order until one does it.

import { systemClock, type Clock } from "../base/clock.ts";
import { OrchestraError, type ErrorData } from "../base/errors.ts";
import type { AgentContext } from "../runtime/agent.ts";
import type { AgentLike, AgentObject } from "../runtime/agent-source.ts";
import { assertOptions, check, count, durationMs, having, isRecord, object } from "../runtime/option-schema.ts";
import type { OrchestraResult } from "../runtime/result.ts";
import { CircuitBreaker, type BreakerOptions } from "./circuit-breaker.ts";

export interface FallbackChainOptions {
  /** By name, in the order in which they are asked. */
  readonly agents: Readonly<Record<string, AgentLike>>;
  /** Of each of them; `false` for none. It counts what this object saw, in this process. */
  readonly breaker?: BreakerOptions | false;
  readonly clock?: Clock;
}

const optionsSchema = object({
  agents: check((value) => isRecord(value) && Object.keys(value).length > 0, "agents by name, at least one"),
  breaker: check((value) => value === undefined || value === false || isRecord(value), "an object, or false"),
  clock: having("a Clock", "nowMs", "monotonicMs", "setTimer"),
});
const breakerSchema = object({ failureThreshold: count, cooldownMs: durationMs });

/**
 * An agent that gives what the first of `agents` gives that does not fail. Each runs as a nested run, so with its own retries
 * and its own journal. The step fails with the error of the last that was asked, or with `ORCH_OVERLOADED`, to be tried again,
 * when the breakers let none be asked.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION`
 */
export function fallbackChain(options: FallbackChainOptions): AgentObject {
  assertOptions(optionsSchema, options, "fallbackChain");
  const { agents, breaker, clock = systemClock() } = options;
  if (breaker !== undefined && breaker !== false) assertOptions(breakerSchema, breaker, "fallbackChain.breaker");
  const members = Object.entries(agents).map(([name, agent]) => ({
    name,
    agent,
    breaker: breaker === false ? undefined : new CircuitBreaker(breaker),
  }));
  return {
    timeoutMs: false,
    run: async (input: unknown, ctx: AgentContext) => {
      let last: ErrorData | undefined;
      for (const member of members) {
        if (member.breaker?.admit(clock.monotonicMs()) === false) continue;
        const result = await asked(member, input, ctx);
        if (result.success) {
          member.breaker?.succeeded();
          return result.finalResponse;
        }
        member.breaker?.failed(clock.monotonicMs());
        ctx.logger.warn({ agent: member.name, error: result.error?.code }, "an agent of a fallback chain has failed");
        last = result.error ?? undefined;
      }
      throw last === undefined ? noneAdmitted(Object.keys(agents)) : failureOf(last);
    },
  };
}

async function asked(
  { name, agent, breaker }: { name: string; agent: AgentLike; breaker: CircuitBreaker | undefined },
  input: unknown,
  ctx: AgentContext,
): Promise<OrchestraResult> {
  try {
    return await ctx.run({ task: input, topology: { nodes: [name], edges: [] }, agents: { [name]: agent } });
  } catch (error) {
    breaker?.released();
    throw error;
  }
}

function noneAdmitted(names: readonly string[]): OrchestraError {
  const error = new OrchestraError(
    "ORCH_OVERLOADED",
    `fallbackChain: ${names.join(", ")} have failed again and again, and none is to be asked yet`,
  );
  return Object.assign(error, { retryable: true });
}

/** Its retries are over: it is not tried again by the step around it. */
function failureOf({ code, message }: ErrorData): Error {
  return Object.assign(new Error(message), { code, retryable: false });
}
