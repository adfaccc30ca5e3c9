// A2A agent
//
// Owns:      one call to an agent that speaks A2A, by the official SDK: card, message, task, to its end.
// Crossing:  run() → agent card → message → task → ctx.emit, next.ask, the step's value.
//
// A1  The call is one record of `ctx.once`, as a remote agent's is; and the name of its task is another, made as soon as
//     the server tells it. An attempt that finds the name follows the task and sends nothing.
// A2  The message's id is the key of the call, so that a server that keeps records knows a repeated message.
// A3  A task is cancelled at its server when the step is cancelled or times out, and left alone when it is paused.

import type { AgentCard, Task } from "@a2a-js/sdk";
import type { Client } from "@a2a-js/sdk/client";

import { systemClock, type Clock } from "../../base/clock.ts";
import { isOrchestraError, OrchestraError } from "../../base/errors.ts";
import { optionalPackage } from "../../base/optional-package.ts";
import { next, type AgentContext } from "../../runtime/agent.ts";
import { agentFields } from "../agent-fields.ts";
import { defineAgent, type DefinedAgent } from "../define-agent.ts";
import { A2aTaskView, type A2aEnd, type TaskRef } from "./a2a-task-view.ts";
import { messageOf, partOf } from "./a2a-values.ts";
import { CallDeadlines } from "./deadlines.ts";
import { EndpointGuard } from "./endpoint-guard.ts";
import { guardedFetch } from "./guarded-fetch.ts";
import { AGENT_ERROR, callKey, shownUrl } from "./protocol.ts";
import type { RemoteAgentOptions } from "./remote-agent.ts";
import { RemoteAgentError } from "./remote-error.ts";
import { DEFAULT_REMOTE_TIMEOUT_MS, resolveRemoteLimits, type RemoteLimits } from "./remote-limits.ts";
import { assertHeaders, assertRemoteOptions, parseEndpoint } from "./remote-options.ts";

export interface A2aAgentOptions extends Omit<RemoteAgentOptions, "endpoint" | "agentId" | "context" | "history"> {
  /** Where the agent's card is: `/.well-known/agent-card.json` is added, unless it ends in `.json`. */
  readonly url: string | URL;
}

const CARD = ".well-known/agent-card.json";
/** Where a server does not stream, its task is asked for this often. */
const POLL_MS = 1_000;
/** To tell a server that its task is no longer wanted. */
const CANCEL_TIMEOUT_MS = 5_000;
/** Larger events the SDK refuses, whatever it is told; here they are refused as too large. */
const SDK_EVENT_BYTES_MAX = 4 * 1024 * 1024;
/** The SDK's own way of speaking version 0.3 too. */
const LEGACY = { legacyCompat: { enabled: true } };

/**
 * An agent that is served by the A2A protocol, version 1.0; 0.3 as far as the SDK goes. Needs the package
 * `@a2a-js/sdk`. What its task asks for is asked as `next.ask` does; text of its artifacts is shown as it comes. `headers`
 * go to the origin of `url` only.
 *
 * @throws {OrchestraError} as `remoteAgent` does; its steps also fail with `ORCH_PACKAGE_MISSING`.
 */
export function a2aAgent(options: A2aAgentOptions): DefinedAgent {
  assertRemoteOptions("a2aAgent", options);
  const { timeoutMs = DEFAULT_REMOTE_TIMEOUT_MS } = options;
  const remote = new A2aAgent(options, (value) => agent.parseOutput?.(value));
  const agent: DefinedAgent = defineAgent({
    ...agentFields(options),
    timeoutMs,
    run: (value: unknown, ctx) => remote.run(value, ctx),
  });
  return agent;
}

type Sdk = Awaited<ReturnType<typeof loadSdk>>;

async function loadSdk() {
  return optionalPackage("@a2a-js/sdk", async () => ({
    core: await import("@a2a-js/sdk"),
    client: await import("@a2a-js/sdk/client"),
  }));
}

/** One attempt at a call. */
interface Attempt {
  readonly ctx: AgentContext;
  readonly sdk: Sdk;
  readonly client: Client;
  readonly view: A2aTaskView;
  readonly signal: AbortSignal;
}

class A2aAgent {
  readonly #options: A2aAgentOptions;
  readonly #cardUrl: URL;
  readonly #guard: EndpointGuard;
  readonly #limits: RemoteLimits;
  readonly #clock: Clock;
  readonly #checkOutput: (value: unknown) => unknown;
  #card: AgentCard | undefined;

  constructor(options: A2aAgentOptions, checkOutput: (value: unknown) => unknown) {
    this.#options = options;
    this.#cardUrl = parseEndpoint("a2aAgent", options.url, String(options.url).endsWith(".json") ? "" : CARD);
    this.#guard = new EndpointGuard(options);
    this.#guard.assertUrl(this.#cardUrl);
    const limits = resolveRemoteLimits("a2aAgent: limits", options.limits);
    this.#limits = { ...limits, eventBytesMax: Math.min(limits.eventBytesMax, SDK_EVENT_BYTES_MAX) };
    this.#clock = options.clock ?? systemClock();
    this.#checkOutput = checkOutput;
  }

  async run(input: unknown, ctx: AgentContext): Promise<unknown> {
    const asked = `a2a:${ctx.branchId}`;
    const answered = ctx.question === undefined ? undefined : ctx.state.get<TaskRef>(asked);
    const end = await ctx.once<A2aEnd>("a2a", () => this.#call(input, answered, ctx));
    if ("question" in end) {
      ctx.state.set(asked, end.task);
      return next.ask(end.question);
    }
    if (answered !== undefined) ctx.state.delete(asked);
    if (end.usage !== null) ctx.usage(end.usage);
    return end.value;
  }

  async #call(input: unknown, answered: TaskRef | undefined, ctx: AgentContext): Promise<A2aEnd> {
    const sdk = await loadSdk();
    const { timeoutMs = DEFAULT_REMOTE_TIMEOUT_MS, idleTimeoutMs = DEFAULT_REMOTE_TIMEOUT_MS } = this.#options;
    const deadlines = this.#deadlines(timeoutMs, idleTimeoutMs, ctx.signal);
    const view = new A2aTaskView(sdk.core, (chunk) => ctx.emit(chunk));
    const { signal } = deadlines;
    try {
      const client = await this.#connect(sdk, deadlines, ctx);
      await this.#converse(input, answered, { ctx, sdk, client, view, signal });
      const end = view.end();
      if ("value" in end) await this.#checkOutput(end.value);
      return end;
    } catch (error) {
      const ref = view.ref ?? answered;
      if (signal.aborted && ref !== undefined && isUnwanted(ctx.signal)) await this.#cancel(sdk, ref, ctx);
      throw signal.aborted ? signal.reason : this.#explained(error);
    } finally {
      deadlines.end();
    }
  }

  /** Until the task goes no further by itself. */
  async #converse(input: unknown, answered: TaskRef | undefined, attempt: Attempt): Promise<void> {
    const { ctx, client, view, sdk, signal } = attempt;
    const messageId = callKey(ctx);
    const known = answered ?? (await knownTask(ctx));
    const task = known === undefined ? undefined : await this.#taskOf(known, answered, attempt);
    if (task !== undefined && wasSent(task, messageId, answered)) view.takeTask(task);
    // What failed is asked for anew: this is another attempt.
    if (view.ref === undefined || (view.failed && ctx.attempt > 1)) {
      const message = messageOf({
        messageId,
        role: sdk.core.Role.ROLE_USER,
        parts: [partOf(input)],
        ...(answered !== undefined && answered),
      });
      const request = { tenant: "", message, configuration: undefined, metadata: undefined };
      for await (const response of client.sendMessageStream(request, { signal })) await this.#take(response, attempt);
      if (view.ref === undefined && !view.ended)
        throw new RemoteAgentError("the stream ended without an answer", { remoteCode: AGENT_ERROR, retryable: true });
    }
    await this.#follow(attempt);
  }

  /** Undefined for a task that its server has forgotten: then the message is sent again. */
  async #taskOf(
    { taskId }: TaskRef,
    answered: TaskRef | undefined,
    { client, signal }: Attempt,
  ): Promise<Task | undefined> {
    try {
      return await client.getTask({ tenant: "", id: taskId }, { signal });
    } catch (error) {
      if ((error as Error).name !== "TaskNotFoundError" || answered !== undefined) throw error;
      return undefined;
    }
  }

  async #take(response: Parameters<A2aTaskView["take"]>[0], { ctx, view }: Attempt): Promise<void> {
    const isNew = view.ref === undefined;
    view.take(response);
    const { ref } = view;
    if (isNew && ref !== undefined) await ctx.once(TASK, () => ref);
  }

  /** A task whose stream ended, or was never there: by another stream, and else by asking again and again. */
  async #follow(attempt: Attempt): Promise<void> {
    const { client, view, signal, ctx } = attempt;
    const { ref } = view;
    if (ref === undefined || view.ended) return;
    if (this.#card?.capabilities?.streaming === true) {
      try {
        for await (const response of client.resubscribeTask({ tenant: "", id: ref.taskId }, { signal }))
          view.take(response);
      } catch (error) {
        signal.throwIfAborted();
        ctx.logger.debug({ taskId: ref.taskId, error: (error as Error).message }, "a task could not be followed live");
      }
    }
    // Also of a task that was followed to its end: what it gave between two streams came on neither, or on both.
    for (;;) {
      const task = await this.#taskOf(ref, undefined, attempt);
      if (task !== undefined) view.takeTask(task);
      else if (!view.ended)
        throw new RemoteAgentError("the server has forgotten the task", { remoteCode: AGENT_ERROR, retryable: true });
      if (view.ended) return;
      await this.#pause(signal);
    }
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        cancelTimer();
        reject(signal.reason as Error);
      };
      const cancelTimer = this.#clock.setTimer(POLL_MS, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  async #connect(sdk: Sdk, deadlines: CallDeadlines, ctx: AgentContext): Promise<Client> {
    const { headers = {} } = this.#options;
    const { ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } = sdk.client;
    const fetchImpl = guardedFetch({
      guard: this.#guard,
      deadlines,
      clock: this.#clock,
      headers: typeof headers === "function" ? assertHeaders("a2aAgent", await headers(ctx)) : headers,
      origin: this.#cardUrl.origin,
      limits: this.#limits,
    });
    const cardResolver = new DefaultAgentCardResolver({ fetchImpl, ...LEGACY });
    this.#card ??= await cardResolver.resolve(this.#cardUrl.href, "");
    const factory = new ClientFactory({
      transports: [
        new JsonRpcTransportFactory({ fetchImpl, ...LEGACY }),
        new RestTransportFactory({ fetchImpl, ...LEGACY }),
      ],
      cardResolver,
    });
    return factory.createFromAgentCard(this.#card);
  }

  /** What becomes of it changes nothing here. */
  async #cancel(sdk: Sdk, { taskId }: TaskRef, ctx: AgentContext): Promise<void> {
    const deadlines = this.#deadlines(CANCEL_TIMEOUT_MS, false, new AbortController().signal);
    try {
      const client = await this.#connect(sdk, deadlines, ctx);
      await client.cancelTask({ tenant: "", id: taskId, metadata: undefined }, { signal: deadlines.signal });
    } catch (error) {
      ctx.logger.warn({ taskId, error: (error as Error).message }, "a remote task could not be cancelled");
    } finally {
      deadlines.end();
    }
  }

  #deadlines(timeoutMs: number | false, idleTimeoutMs: number | false, signal: AbortSignal): CallDeadlines {
    return new CallDeadlines({ clock: this.#clock, timeoutMs, idleTimeoutMs, signal, to: shownUrl(this.#cardUrl) });
  }

  #explained(error: unknown): Error {
    if (error instanceof OrchestraError) return error;
    const { message } = error as Error;
    // Errors of the connection say by their code whether another attempt may do better; what the SDK refuses stays refused.
    return new RemoteAgentError(`${shownUrl(this.#cardUrl)}: ${message}`, { remoteCode: AGENT_ERROR, cause: error });
  }
}

const TASK = "a2a:task";
const NONE = new Error("no task is known");

/** The task that an earlier attempt at this step was told of. A call that throws is not recorded, so asking leaves no trace. */
async function knownTask(ctx: AgentContext): Promise<TaskRef | undefined> {
  try {
    return await ctx.once<TaskRef>(TASK, () => Promise.reject(NONE));
  } catch (error) {
    if (error === NONE) return undefined;
    throw error;
  }
}

/** A task that was told of has got its message; one that waited for an answer may not have got that yet. */
function wasSent({ history }: Task, messageId: string, answered: TaskRef | undefined): boolean {
  return answered === undefined || history.some((message) => message.messageId === messageId);
}

/** The step itself is given up, rather than moved or paused. A deadline of the call leaves the step's signal alone. */
function isUnwanted(signal: AbortSignal): boolean {
  if (!signal.aborted) return true;
  const reason: unknown = signal.reason;
  const why = isOrchestraError(reason) ? reason.details["reason"] : undefined;
  return why === "cancelled" || why === "timed_out" || why === "ended";
}
