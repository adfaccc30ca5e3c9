import type { AgentContext, AgentFunction, RunnableAgent } from "../runtime/agent.ts";

/** A reply that never comes. It ends with the step's signal, by the signal's reason. */
export const hang: unique symbol = Symbol("hang");

export interface RecordedCall {
  readonly input: unknown;
  readonly ctx: AgentContext;
}

export interface ScriptedAgent extends RunnableAgent {
  readonly name: string;
  /** Every call in order, unexpected ones included. */
  readonly calls: readonly RecordedCall[];
  /** Replies not yet given. Zero at the end of a test that used the whole script. */
  readonly left: number;
}

/**
 * An agent that gives `replies` in order: a value or a command as it is, an `Error` by throwing it, a function by
 * calling it with the input and the context, `hang` by never answering.
 *
 * A call after the last reply fails for good, naming its index (from 0): it throws an error with `retryable: false`.
 */
export function scriptedAgent(
  name: string,
  replies: readonly unknown[],
  options: Partial<Omit<RunnableAgent, "name" | "run">> = {},
): ScriptedAgent {
  const script = [...replies];
  const calls: RecordedCall[] = [];
  return {
    ...options,
    name,
    calls,
    get left() {
      return Math.max(0, script.length - calls.length);
    },
    run(input, ctx) {
      const index = calls.length;
      calls.push({ input, ctx });
      if (index >= script.length) throw unexpectedCall(name, index, script.length);
      return giveReply(script[index], input, ctx);
    },
  };
}

export interface CountingAgent extends RunnableAgent {
  readonly name: string;
  readonly calls: number;
  /** Calls under way now, and the most there were at one time. */
  readonly running: number;
  readonly mostAtOnce: number;
}

/** Counts its calls and does what `run` does; by default it gives back its input. */
export function countingAgent(name: string, run: AgentFunction = (input) => input): CountingAgent {
  let calls = 0;
  let running = 0;
  let mostAtOnce = 0;
  return {
    name,
    get calls() {
      return calls;
    },
    get running() {
      return running;
    },
    get mostAtOnce() {
      return mostAtOnce;
    },
    async run(input, ctx) {
      calls++;
      running++;
      mostAtOnce = Math.max(mostAtOnce, running);
      try {
        return await run(input, ctx);
      } finally {
        running--;
      }
    },
  };
}

function giveReply(reply: unknown, input: unknown, ctx: AgentContext): unknown {
  if (reply === hang) return hangUntilAborted(ctx.signal);
  if (reply instanceof Error) throw reply;
  if (typeof reply === "function") return (reply as AgentFunction)(input, ctx);
  return reply;
}

function hangUntilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void =>
      reject(signal.reason instanceof Error ? signal.reason : new Error(`aborted: ${String(signal.reason)}`));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

function unexpectedCall(name: string, index: number, replies: number): Error {
  const message = `scripted agent "${name}": call ${index} (from 0) was not expected; the script has ${replies} ${replies === 1 ? "reply" : "replies"}`;
  return Object.assign(new Error(message), { retryable: false });
}
