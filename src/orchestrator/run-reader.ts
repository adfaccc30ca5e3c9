// Run reader: what the sessions of a store tell of the runs they are.

import { OrchestraError } from "../base/errors.ts";
import type { SessionInfo } from "../runtime/instance-types.ts";
import type { OrchestraInstance } from "../runtime/orchestra-instance.ts";
import type { OrchestraResult } from "../runtime/result.ts";
import { isSessionId } from "../base/ids.ts";
import { count, countFrom0, having, object, text } from "../runtime/option-schema.ts";
import { isRunTopology } from "./loop-topology.ts";
import type { TeamOutcome } from "./loop.ts";
import { artifactsOf, type RunArtifacts } from "./run-artifacts.ts";
import {
  foldRunEvents,
  RunProjection,
  type BudgetName,
  type OrchestratorEvent,
  type TerminalReason,
} from "./run-events.ts";
import { unknownRun } from "./run-memory.ts";
import type { RunSpec } from "./run-spec.ts";
import type { RunStatus } from "./run-status.ts";

export interface RunResult {
  readonly runId: string;
  readonly reason: TerminalReason;
  readonly budget?: BudgetName;
  readonly iterations: number;
  /** What the team came to in its last iteration. */
  readonly output: unknown;
  readonly error?: RunStatus["error"];
  readonly usage: OrchestraResult["metadata"]["usage"];
}

export interface SubscribeOptions {
  /** Default 0. */
  readonly after?: number;
  readonly signal?: AbortSignal;
}

export interface ListOptions {
  /** Default 100. */
  readonly limit?: number;
  /** The last id of the page before. */
  readonly cursor?: string;
}

export const subscribeSchema = object({ after: countFrom0, signal: having("an AbortSignal", "addEventListener") });
export const listSchema = object({ limit: count, cursor: text });

const PAGE = 500;

export class RunReader {
  readonly #instance: OrchestraInstance;

  constructor(instance: OrchestraInstance) {
    this.#instance = instance;
  }

  /** A session of another topology in the same store is no run. */
  async isKnown(runId: string): Promise<boolean> {
    if (!isSessionId(runId)) return false;
    const session = await this.#instance.getSession(runId);
    return session !== null && isRunTopology(session.topologyHash);
  }

  /** Oldest id first. Sessions that are nested in runs lie between them. */
  async list({ limit = 100, cursor }: ListOptions): Promise<readonly string[]> {
    const runs: string[] = [];
    let after = cursor;
    for (;;) {
      const page: readonly SessionInfo[] = await this.#instance.listSessions({
        limit: PAGE,
        ...(after !== undefined && { cursor: after }),
      });
      for (const { sessionId, topologyHash } of page) {
        if (!isRunTopology(topologyHash)) continue;
        runs.push(sessionId);
        if (runs.length === limit) return runs;
      }
      if (page.length < PAGE) return runs;
      after = page.at(-1)?.sessionId;
    }
  }

  /** @throws {OrchestraError} `ORCH_SESSION_STATE` before its first step has ended. */
  async specOf(runId: string): Promise<RunSpec> {
    for await (const step of this.#instance.trace(runId, { inFull: true })) return step.input as RunSpec;
    throw new OrchestraError("ORCH_SESSION_STATE", `run "${runId}" has just begun`, { details: { sessionId: runId } });
  }

  eventsSoFar(runId: string): Promise<readonly OrchestratorEvent[]> {
    return foldRunEvents(runId, this.#instance.events(runId, { untilNow: true }));
  }

  /** @throws {OrchestraError} `ORCH_SESSION_UNKNOWN` */
  async *events(runId: string, { after = 0, signal }: SubscribeOptions): AsyncGenerator<OrchestratorEvent> {
    if (!(await this.isKnown(runId))) throw unknownRun(runId);
    const projection = new RunProjection(runId);
    for await (const event of this.#instance.events(runId, signal === undefined ? {} : { signal })) {
      for (const told of projection.next(event)) if (told.seq > after) yield told;
      if (projection.isOver) return;
    }
  }

  artifacts(runId: string): Promise<RunArtifacts> {
    return artifactsOf(this.#instance.trace(runId, { inFull: true }));
  }

  async result({ runId, payload }: OrchestratorEvent & { type: "run.terminal" }): Promise<RunResult> {
    let output: unknown = null;
    for await (const step of this.#instance.trace(runId, { inFull: true })) {
      const outcome = step.node === "team" ? (step.output as TeamOutcome | null) : null;
      if (outcome?.type === "done") output = outcome.output;
    }
    const { usage } = (await this.#instance.getResult(runId)).metadata;
    const { reason, budget, error, iterations } = payload;
    return {
      runId,
      reason,
      ...(budget !== undefined && { budget }),
      iterations,
      output,
      ...(error !== undefined && { error }),
      usage,
    };
  }
}
