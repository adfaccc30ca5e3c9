// Served agent: an agent as the only node of a run that answers a call from outside. What came with the call (the
// caller's transcript) stands where an agent looks for it, and what it emits reaches whoever listens to the call.

import type { AgentContext, RunnableAgent } from "../../runtime/agent.ts";
import { toRunnableAgent, type AgentLike } from "../../runtime/agent-source.ts";
import { classifyFailure } from "../../runtime/failure-class.ts";
import { isFields, type ProtocolMessage } from "../remote/protocol.ts";

/** The task of such a run. */
export interface ServedTask extends Record<string, unknown> {
  readonly servedCall: 1;
  readonly input: unknown;
  readonly messages: readonly ProtocolMessage[];
}

/** What is told of a run while it works. */
export interface ServedWatch {
  emitted(sessionId: string, chunk: unknown): void;
  /** The failure may pass: the same call may do better. */
  failed(sessionId: string, retryable: boolean): void;
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` when it is no agent. */
export function servedAgent(name: string, agent: AgentLike, watch: ServedWatch): RunnableAgent {
  const inner = toRunnableAgent(name, agent, `agent "${name}"`);
  const { description, retry, timeoutMs, concurrency, allowedPeers } = inner;
  return {
    name,
    ...(description !== undefined && { description }),
    ...(retry !== undefined && { retry }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(concurrency !== undefined && { concurrency }),
    ...(allowedPeers !== undefined && { allowedPeers }),
    // An answer to a question comes bare.
    parseInput: async (value) => {
      if (inner.parseInput === undefined) return value;
      return isServedTask(value)
        ? { ...value, input: await inner.parseInput(value.input) }
        : await inner.parseInput(value);
    },
    ...(inner.parseOutput !== undefined && { parseOutput: (value: unknown) => inner.parseOutput?.(value) }),
    run: async (value, ctx) => {
      try {
        return await inner.run(isServedTask(value) ? value.input : value, contextOf(ctx, watch));
      } catch (error) {
        const kind = classifyFailure(error);
        watch.failed(ctx.sessionId, kind === "transient" || kind === "timeout");
        throw error;
      }
    },
  };
}

function isServedTask(value: unknown): value is ServedTask {
  return isFields(value) && value["servedCall"] === 1 && "input" in value && Array.isArray(value["messages"]);
}

/** The context of the step, in which the call stands for the run around it. */
function contextOf(ctx: AgentContext, watch: ServedWatch): AgentContext {
  const { task, question } = ctx;
  const served = isServedTask(task) ? task : { input: task, messages: [] };
  const told: Partial<Record<keyof AgentContext, unknown>> = {
    task: served.input,
    emit: (chunk: unknown) => {
      ctx.emit(chunk);
      watch.emitted(ctx.sessionId, chunk);
    },
    session: { runs: ctx.session.runs, transcript: transcriptOf(served.messages, ctx.runId) },
    ...(question !== undefined && {
      question: { ...question, input: isServedTask(question.input) ? question.input.input : question.input },
    }),
  };
  // The context's own getters read private fields, so it is asked itself for all else.
  return new Proxy(ctx, {
    get: (target, key) =>
      Object.hasOwn(told, key) ? told[key as keyof AgentContext] : (Reflect.get(target, key, target) as unknown),
  });
}

function transcriptOf(messages: readonly ProtocolMessage[], runId: string): AgentContext["session"]["transcript"] {
  return messages.map(({ role, content }) => ({ role: role === "assistant" ? "assistant" : "user", content, runId }));
}
