// Remote agent
//
// Owns:      one call to an agent of another process, from the request to its last event.
// Crossing:  run() → POST {endpoint}/invoke → events → ctx.emit, ctx.usage, the step's value.
//
// R1  The call is one record of `ctx.once`: what was heard to its end is not asked for again by a re-run of the step.
// R2  Every attempt sends the same Idempotency-Key, so that a server that keeps records answers from them where R1 cannot:
//     when this process ended between the last event and the record.
// R3  A stream without its last event is a failure, whatever it brought before.

import type { IncomingMessage } from "node:http";
import { systemClock, type Clock } from "../../base/clock.ts";
import { OrchestraError } from "../../base/errors.ts";
import { next, type AgentContext, type Command, type MaybePromise, type UsageReport } from "../../runtime/agent.ts";
import { toJsonValue } from "../../runtime/result-json.ts";
import { agentFields, type AgentFields } from "../agent-fields.ts";
import { defineAgent, type DefinedAgent } from "../define-agent.ts";
import { CallDeadlines } from "./deadlines.ts";
import { EndpointGuard, type GuardOptions } from "./endpoint-guard.ts";
import { bodyOf, httpCall } from "./http-call.ts";
import { AGENT_ERROR, callKey, INPUT_REQUIRED, MESSAGES_MAX, readEvent, shownUrl, textOf } from "./protocol.ts";
import type { InvokeRequest, RemoteEvent, RemoteQuestion } from "./protocol.ts";
import { RemoteAgentError } from "./remote-error.ts";
import { assertHeaders, assertRemoteOptions, parseEndpoint } from "./remote-options.ts";
import { assertSize, DEFAULT_REMOTE_TIMEOUT_MS, resolveRemoteLimits, type RemoteLimits } from "./remote-limits.ts";
import { refusedBy } from "./refused-by.ts";
import { SseReader } from "./sse-reader.ts";

export interface RemoteAgentOptions extends Omit<AgentFields, "timeoutMs">, GuardOptions {
  /** Where the agent is served; `/invoke` is added to its path. */
  readonly endpoint: string | URL;
  /** What the agent is called there. Default: `name`. */
  readonly agentId?: string;
  /** Sent with each call, or asked for before each: credentials, for one. */
  readonly headers?: Readonly<Record<string, string>> | ((ctx: AgentContext) => MaybePromise<Record<string, string>>);
  /** Of the whole call, in milliseconds; `false` for none. Default 300_000. */
  readonly timeoutMs?: number | false;
  /** How long the other side may be silent, in milliseconds; `false` for ever. Default 300_000. */
  readonly idleTimeoutMs?: number | false;
  readonly limits?: Partial<RemoteLimits>;
  /** Fields of the run's context that the other side is told of. Default: none. */
  readonly context?: readonly string[];
  /** Messages of the session's transcript that go along, the newest, 0 to 50. Default 50. */
  readonly history?: number;
  readonly clock?: Clock;
}

/** What the record of a call holds. */
type CallRecord =
  | { readonly value: unknown; readonly usage: UsageReport | null }
  | { readonly question: RemoteQuestion; readonly usage: null };

/**
 * An agent that another process serves by the agent protocol (`serveAgent`, or any service that speaks it).
 *
 * Its steps fail with `ORCH_REMOTE_FAILED` (transient for HTTP 408, 429 and 5xx, connections that fail and streams that
 * break off), `ORCH_TIMEOUT`, `ORCH_ENDPOINT_REFUSED`, `ORCH_PAYLOAD_TOO_LARGE`.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION`; `ORCH_ENDPOINT_REFUSED` for an endpoint whose address or scheme is refused
 *   whatever it resolves to.
 */
export function remoteAgent(options: RemoteAgentOptions): DefinedAgent {
  assertRemoteOptions("remoteAgent", options);
  const { timeoutMs = DEFAULT_REMOTE_TIMEOUT_MS } = options;
  const remote = new RemoteAgent(options, (value) => agent.parseOutput?.(value));
  const agent: DefinedAgent = defineAgent({
    ...agentFields(options),
    timeoutMs,
    run: (value: unknown, ctx) => remote.run(value, ctx),
  });
  return agent;
}

class RemoteAgent {
  readonly #options: RemoteAgentOptions;
  readonly #url: URL;
  /** The same for messages. */
  readonly #shown: string;
  readonly #guard: EndpointGuard;
  readonly #limits: RemoteLimits;
  readonly #clock: Clock;
  readonly #checkOutput: (value: unknown) => unknown;

  constructor(options: RemoteAgentOptions, checkOutput: (value: unknown) => unknown) {
    this.#options = options;
    this.#url = parseEndpoint("remoteAgent", options.endpoint, "invoke");
    this.#shown = shownUrl(this.#url);
    this.#guard = new EndpointGuard(options);
    this.#guard.assertUrl(this.#url);
    this.#limits = resolveRemoteLimits("remoteAgent: limits", options.limits);
    this.#clock = options.clock ?? systemClock();
    this.#checkOutput = checkOutput;
  }

  async run(input: unknown, ctx: AgentContext): Promise<unknown> {
    const asked = `remote:${ctx.branchId}`;
    const answerTo = ctx.question === undefined ? undefined : ctx.state.get<string>(asked);
    const record = await ctx.once<CallRecord>("remote", () => this.#call(input, answerTo, ctx));
    if (record.usage !== null) ctx.usage(record.usage);
    if ("question" in record) return this.#ask(record.question, asked, ctx);
    if (answerTo !== undefined) ctx.state.delete(asked);
    return record.value;
  }

  #ask({ id, prompt }: RemoteQuestion, asked: string, ctx: AgentContext): Command {
    ctx.state.set(asked, id);
    return next.ask(prompt);
  }

  async #call(input: unknown, answerTo: string | undefined, ctx: AgentContext): Promise<CallRecord> {
    const { timeoutMs = DEFAULT_REMOTE_TIMEOUT_MS, idleTimeoutMs = DEFAULT_REMOTE_TIMEOUT_MS } = this.#options;
    const body = JSON.stringify(this.#request(input, answerTo, ctx));
    assertSize("request to the remote agent", Buffer.byteLength(body), this.#limits.requestBytesMax);
    const headers = await this.#headers(ctx);
    const deadlines = new CallDeadlines({
      clock: this.#clock,
      timeoutMs,
      idleTimeoutMs,
      signal: ctx.signal,
      to: this.#shown,
    });
    try {
      const { signal } = deadlines;
      const answer = await httpCall({ url: this.#url, method: "POST", headers, body, signal, guard: this.#guard });
      deadlines.alive();
      if (answer.statusCode !== 200) throw await refusedBy(this.#url, answer, signal, this.#clock);
      return await this.#hear(answer, deadlines, ctx);
    } catch (error) {
      throw this.#explained(error);
    } finally {
      deadlines.end();
    }
  }

  #request(input: unknown, answerTo: string | undefined, ctx: AgentContext): InvokeRequest {
    const { agentId, name, context = [], history = MESSAGES_MAX } = this.#options;
    const known = context.filter((key) => ctx.context[key] !== undefined);
    return {
      agent_id: agentId ?? name,
      session_id: ctx.sessionId,
      run_id: ctx.runId,
      input_message: { role: "user", content: textOf(input) },
      messages: (history === 0 ? [] : ctx.session.transcript.slice(-history)).map(({ role, content }) => ({
        role,
        content: textOf(content),
      })),
      context: Object.fromEntries(known.map((key) => [key, toJsonValue(ctx.context[key])])),
      ...(typeof input !== "string" && { input: toJsonValue(input) }),
      ...(answerTo !== undefined && { answer_to: answerTo }),
    };
  }

  async #headers(ctx: AgentContext): Promise<Record<string, string>> {
    const { headers = {} } = this.#options;
    const traceparent = ctx.context["traceparent"];
    const own = typeof headers === "function" ? assertHeaders("remoteAgent", await headers(ctx)) : headers;
    return {
      ...(typeof traceparent === "string" && { traceparent: encodeURI(traceparent) }),
      ...own,
      accept: "text/event-stream",
      "accept-encoding": "identity",
      "content-type": "application/json",
      "x-session-id": encodeURI(ctx.sessionId),
      "x-run-id": encodeURI(ctx.runId),
      "idempotency-key": callKey(ctx),
    };
  }

  async #hear(answer: IncomingMessage, deadlines: CallDeadlines, ctx: AgentContext): Promise<CallRecord> {
    const { responseBytesMax, eventBytesMax, eventsMax } = this.#limits;
    const type = answer.headers["content-type"] ?? "";
    if (!/^text\/event-stream\b/i.test(type)) {
      answer.destroy();
      throw this.#failed(`answered with "${type}", expected text/event-stream`, { retryable: false });
    }
    const reader = new SseReader(eventBytesMax);
    const texts: string[] = [];
    let [bytes, events] = [0, 0];
    for await (const piece of bodyOf(answer, deadlines.signal)) {
      deadlines.alive();
      assertSize("answer of the remote agent", (bytes += piece.byteLength), responseBytesMax);
      for (const frame of reader.push(piece)) {
        assertSize("answer of the remote agent", ++events, eventsMax, "events");
        const record = await this.#take(readEvent(frame), frame.event, texts, ctx);
        if (record !== undefined) return record;
      }
    }
    throw this.#failed("ended its stream without an event `done`", { retryable: true });
  }

  /** What an event comes to; a record when it is the last. */
  async #take(event: RemoteEvent, name: string, texts: string[], ctx: AgentContext): Promise<CallRecord | undefined> {
    switch (event.type) {
      case "delta":
        if (typeof event.chunk === "string") texts.push(event.chunk);
        ctx.emit(event.chunk);
        return undefined;
      case "done": {
        const value = event.value === undefined ? texts.join("") : event.value;
        // A misfit is no record: another attempt asks again.
        await this.#checkOutput(value);
        return { value, usage: event.usage };
      }
      case "error":
        if (event.code === INPUT_REQUIRED && event.question !== undefined)
          return { question: event.question, usage: null };
        throw this.#told(event);
      case "unreadable":
        if (name !== "delta") throw this.#failed(`sent an event \`${name}\` that cannot be read: ${event.reason}`);
        ctx.logger.warn({ endpoint: this.#shown, reason: event.reason }, "a delta that cannot be read was skipped");
        return undefined;
      case "state":
        ctx.logger.debug({ endpoint: this.#shown, state: event.state }, "the remote agent told its state");
        return undefined;
      case "other":
        return undefined;
    }
  }

  /** An event `error`, as a failure of its class. */
  #told({ code, message, retryable }: Extract<RemoteEvent, { type: "error" }>): Error {
    if (TIMEOUT_CODES.has(code))
      return new OrchestraError("ORCH_TIMEOUT", `${this.#shown}: ${message}`, {
        details: { endpoint: this.#shown, remoteCode: code },
      });
    return this.#failed(message, { remoteCode: code, retryable: retryable ?? TRANSIENT_CODES.has(code) });
  }

  #explained(error: unknown): unknown {
    if (error instanceof OrchestraError) return error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== undefined && PERMANENT_CONNECTION_CODES.test(code))
      return this.#failed(`cannot be reached: ${message}`, { cause: error });
    return this.#failed(`the connection broke: ${message}`, { retryable: true, cause: error });
  }

  #failed(
    message: string,
    failure: { readonly remoteCode?: string; readonly retryable?: boolean; readonly cause?: unknown } = {},
  ): RemoteAgentError {
    return new RemoteAgentError(`${this.#shown}: ${message}`, {
      remoteCode: AGENT_ERROR,
      details: { endpoint: this.#shown },
      ...failure,
    });
  }
}

const TIMEOUT_CODES = new Set(["timeout", "tool_timeout", "approval_timeout"]);
const TRANSIENT_CODES = new Set([
  "client_offline",
  "internal_error",
  "llm_error",
  "orchestrator_fail",
  "overloaded",
  "upstream_error",
]);
/** What another attempt would meet again: names that do not exist, certificates that are not trusted. */
const PERMANENT_CONNECTION_CODES = /^(ENOTFOUND|ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_INVALID_|HPE_)/;
