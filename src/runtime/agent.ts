// The agent port: what the runtime is handed and hands out. Agents implement it; the runtime never imports them.

import type { CallReport } from "../base/call-report.ts";
import type { Logger } from "../base/logger.ts";
import { OrchestraError, type ErrorData } from "../base/errors.ts";
import type { FailureClass } from "../actors/facts.ts";
import type { Place } from "../actors/place.ts";
import type { StepMemory } from "./agent-memory.ts";
import { isRecordLike, shown } from "./option-schema.ts";
import { readAnswer } from "./prompts.ts";

export type MaybePromise<T> = T | Promise<T>;

/** Whether model-backed agents are told what the topology allows: where there is a choice, on every call, or never. */
export type SteeringMode = "auto" | "always" | "never";

/** `{ from, value }` of a rendezvous or a reply; `error` instead of `value` where an error edge led in. */
export interface ArrivalValue {
  readonly from: string;
  readonly value?: unknown;
  readonly error?: ErrorData;
}

export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly factor: number;
  /** Share of the delay that is left to chance, 0 to 1. */
  readonly jitter: number;
}
export type RetryPolicies = Readonly<Record<FailureClass, RetryPolicy>>;

/** Model usage to be added to the run's account. */
export interface UsageReport {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly costUsd?: number;
  readonly model?: string;
}

/** What a run may still use; `false`: it has no such bound. */
export interface BudgetLeft {
  readonly tokens: number | false;
  readonly costUsd: number | false;
}

/** What a step sets aside, at the most it may come to. */
export interface BudgetShare {
  readonly tokens: number;
  readonly costUsd: number;
}

/**
 * Pure: what to set aside of what is left, or which of the two is not enough. It is asked again when there may be more;
 * `mayGrow` says that other steps hold a part of which they may give back some.
 */
export type DecideShare = (
  left: BudgetLeft,
  mayGrow: boolean,
) =>
  | { readonly type: "take"; readonly share: BudgetShare }
  | { readonly type: "refuse"; readonly budget: "tokens" | "costUsd" };

export interface AgentContext {
  readonly sessionId: string;
  readonly runId: string;
  readonly branchId: string;
  readonly stepId: string;
  readonly attempt: number;
  readonly node: string;
  readonly task: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  readonly successors: readonly {
    readonly agent: string;
    readonly how: "flow" | "call" | "peer" | "exit" | "conversation";
    /** What the agent says of itself, where this host knows it. */
    readonly description?: string;
  }[];
  /** What the topology makes of a plain value returned here, conditions aside. */
  readonly place: Place;
  /** `executionConfig.steeringMode` of the run. */
  readonly steeringMode: SteeringMode;
  /** When woken by calls: the replies. For a callee that is called in order: those so far. */
  readonly replies?: readonly ArrivalValue[];
  /** On an error edge: what failed. */
  readonly error?: ErrorData;
  /** In the step after `next.ask`. */
  readonly question?: { readonly id: string; readonly prompt: unknown; readonly input: unknown };
  /** On a stream edge: the source's chunks as they come; after a crash its whole output as one chunk. */
  readonly chunks?: AsyncIterable<unknown>;
  readonly session: {
    readonly runs: readonly {
      readonly runId: string;
      readonly task: unknown;
      readonly finalResponse: unknown;
      readonly at: number;
    }[];
    readonly transcript: readonly {
      readonly role: "user" | "assistant";
      readonly content: unknown;
      readonly runId: string;
    }[];
  };
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** `<sessionId>/<stepId>`: the same for every attempt and re-run of this step. */
  readonly idempotencyKey: string;
  /** Durable per session and node. Writes commit with the step's result; those of a failed attempt are discarded. */
  readonly state: {
    get<T = unknown>(key: string): T | undefined;
    set(key: string, value: unknown): void;
    delete(key: string): void;
    keys(): string[];
  };
  /** Runs `fn` at most once per step and key as far as its result was recorded; later attempts and re-runs get the record. */
  once<T>(key: string, fn: () => MaybePromise<T>): Promise<T>;
  /** Shows a chunk to live observers and to the target of a stream edge. */
  emit(chunk: unknown): void;
  usage(report: UsageReport): void;
  /** Tells observers of a call to a model or a tool that has ended: metrics and spans. Does not count as usage. */
  report(call: CallReport): void;
  /**
   * Sets aside a part of the run's budget for something about to be paid, such as a model call, until the returned
   * function is called or the step ends; what it came to is told by `usage` before that. Waits while other steps hold what
   * it needs and do not wait themselves.
   *
   * Rejects with ORCH_BUDGET when there is not enough; a step that fails by it ends the run, as a budget does.
   */
  reserve(decide: DecideShare): Promise<() => void>;
  ask(prompt: unknown, options?: AskOptions): Command;
  /** Says the step is alive; resets its time limit. */
  heartbeat(): void;
  /** Runs another topology as a nested run and waits for its result. Options as for `Orchestra.run`. */
  run(options: any): Promise<any>;
  /** What is remembered beyond the run, as seen from this step; absent without the option `memory`. */
  readonly memory?: StepMemory;
}

export type AgentFunction<I = any, O = any> = (input: I, ctx: AgentContext) => MaybePromise<O | Command>;

/** What the runtime runs for a node; `defineAgent`, pools and nested topologies all come down to it. */
export interface RunnableAgent {
  readonly name: string;
  readonly description?: string;
  /** Overrides of the run's retry policies. */
  readonly retry?: Partial<Record<FailureClass, Partial<RetryPolicy>>> | Partial<RetryPolicy>;
  readonly timeoutMs?: number | false;
  /** Steps of this agent at one time on one host. Default: no bound of its own. */
  readonly concurrency?: number;
  readonly allowedPeers?: readonly string[];
  /** Checks the input, unless that is the answer to a question the agent asked. @throws ORCH_INVALID_INPUT */
  parseInput?(input: unknown): MaybePromise<unknown>;
  /** Checks the output. @throws ORCH_INVALID_OUTPUT */
  parseOutput?(output: unknown): MaybePromise<unknown>;
  run(input: unknown, ctx: AgentContext): unknown;
}

/** Where the runtime finds agents by name. */
export interface AgentSource {
  get(name: string): RunnableAgent | undefined;
  names(): readonly string[];
}

export interface AskOptions {
  /** How long the person has, in milliseconds on the wall clock, also while no process runs. Default: no limit. */
  readonly timeoutMs?: number | false;
  /** Fail with `ORCH_TIMEOUT` when nobody answered in time, or go on with this answer. Default "fail". */
  readonly onTimeout?: "fail" | { readonly answer: unknown };
}

const COMMAND = Symbol.for("orchestra.command");

interface CommandFields {
  readonly [COMMAND]: true;
}

/** An instruction instead of a value, made by `next`. */
export type Command = CommandFields &
  (
    | { readonly kind: "invoke"; readonly agent: string; readonly input: unknown }
    | { readonly kind: "parallel"; readonly items: readonly { readonly agent: string; readonly input: unknown }[] }
    | { readonly kind: "final"; readonly value: unknown }
    | ({ readonly kind: "ask"; readonly prompt: unknown } & AskOptions)
    | { readonly kind: "fail"; readonly error: unknown }
  );

export const next = Object.freeze({
  /** Control goes to `agent`: a call over a call edge, a move over flow, peer and error edges. */
  invoke: (agent: string, input?: unknown): Command => ({ [COMMAND]: true, kind: "invoke", agent, input }),
  /** Several at once: calls over call edges, a fork over flow edges. */
  parallel: (items: readonly { agent: string; input?: unknown }[]): Command => ({
    [COMMAND]: true,
    kind: "parallel",
    items: parallelItems(items),
  }),
  /** Ends the frame this step stands in; `value` is its only result. */
  final: (value?: unknown): Command => ({ [COMMAND]: true, kind: "final", value }),
  /**
   * Asks a person; the answer is the input of the next step here. A `Prompt` (`{ kind: "choice", … }`) is shown as what it is.
   * @throws {OrchestraError} `ORCH_BAD_OPTION`, and `ORCH_ANSWER_INVALID` when the answer of `onTimeout` does not fit the prompt.
   */
  ask: (prompt: unknown, options: AskOptions = {}): Command => ({
    [COMMAND]: true,
    kind: "ask",
    prompt,
    ...askOptions(prompt, options),
  }),
  /** Fails the step for good. */
  fail: (error: unknown): Command => ({ [COMMAND]: true, kind: "fail", error }),
});

/** @throws {OrchestraError} `ORCH_BAD_OPTION`, `ORCH_ANSWER_INVALID` */
function askOptions(prompt: unknown, { timeoutMs, onTimeout, ...others }: AskOptions): AskOptions {
  const bad = (what: string): OrchestraError => new OrchestraError("ORCH_BAD_OPTION", `next.ask: ${what}`);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw bad(`unknown option ${shown(unknown)}; known: timeoutMs, onTimeout`);
  if (timeoutMs !== undefined && timeoutMs !== false && !(timeoutMs > 0 && Number.isFinite(timeoutMs)))
    throw bad(`timeoutMs: expected milliseconds above 0, or false, got ${shown(timeoutMs)}`);
  if (onTimeout !== undefined && onTimeout !== "fail") {
    if (!isRecordLike(onTimeout) || !("answer" in onTimeout))
      throw bad(`onTimeout: expected "fail" or { answer }, got ${shown(onTimeout)}`);
    readAnswer(prompt, onTimeout.answer);
  }
  return { ...(timeoutMs !== undefined && { timeoutMs }), ...(onTimeout !== undefined && { onTimeout }) };
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
function parallelItems(items: unknown): { agent: string; input: unknown }[] {
  if (!Array.isArray(items))
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `next.parallel: expected a list of { agent, input }, got ${shown(items)}`,
    );
  return items.map((item: unknown, i) => {
    if (isRecordLike(item) && typeof item["agent"] === "string") return { agent: item["agent"], input: item["input"] };
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `next.parallel[${i}]: expected { agent, input } with the name of an agent, got ${shown(item)}`,
    );
  });
}

export function isCommand(value: unknown): value is Command {
  return typeof value === "object" && value !== null && COMMAND in value;
}
