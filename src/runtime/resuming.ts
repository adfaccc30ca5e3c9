// Resuming: a session that stands still, or that nobody is behind, goes on: here, or wherever it can.

import type { Fact } from "../actors/facts.ts";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import type { CheckpointDesk } from "./checkpoint-desk.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { Engine, RunCode, RunHandle } from "./engine-api.ts";
import { ownedElsewhere } from "./live-sessions.ts";
import type { Live } from "./live-sessions.ts";
import type { LoadedSession } from "./log-fold.ts";
import { loadSession } from "./log-fold.ts";
import { assertCodeWhole } from "./missing-code.ts";
import { moveOnResume } from "./move-on-resume.ts";
import { unknownSession } from "./outcome.ts";
import { factsOfResume, notUnderWay } from "./resume-facts.ts";
import { loggedHandle, watchedHandle } from "./run-handles.ts";
import type { Session } from "./session.ts";
import type { NewBlobs } from "./values.ts";

export type ResumeOptions = Parameters<Engine["resume"]>[1] & {
  /** Its host is gone, and this one takes over: deadlines stand as they are. */
  readonly takesOver?: true;
};

export class Resuming {
  readonly #parts: EngineParts;
  readonly #checkpoints: CheckpointDesk;
  readonly #elsewhere: Elsewhere;

  constructor(parts: EngineParts, checkpoints: CheckpointDesk, elsewhere: Elsewhere) {
    this.#parts = parts;
    this.#checkpoints = checkpoints;
    this.#elsewhere = elsewhere;
  }

  /** One at a time per session. */
  async resume(sessionId: string, options: ResumeOptions): Promise<RunHandle> {
    let fenced: { readonly n: number; readonly runId: string | undefined; readonly error: unknown } | undefined;
    for (;;) {
      const { live, ports } = this.#parts;
      const running = live.get(sessionId);
      const resumed = running === undefined ? undefined : await this.#resumeLive(running, options);
      if (resumed !== undefined) return resumed;
      const loaded = await loadSession(ports.store, sessionId);
      if (loaded === null) throw unknownSession(sessionId);
      const { n, state } = loaded.position;
      if (fenced !== undefined && n <= fenced.n) throw fenced.error;
      // Whoever was quicker brought it to its end.
      if (fenced !== undefined && state.run?.end && state.run.runId === fenced.runId && !asksForMore(options))
        return loggedHandle(this.#parts, sessionId, state);
      const host = await this.#parts.ownerElsewhere(sessionId, loaded.entry);
      if (host === null) {
        try {
          return await this.resumeLoaded(sessionId, loaded, options);
        } catch (error) {
          if (options.takesOver === true || !isOrchestraError(error, "ORCH_FENCED")) throw error;
          // Somebody else was quicker: what is asked for is asked of the session as it is now.
          fenced = { n, runId: state.run?.runId, error };
          continue;
        }
      }
      if (options.takesOver === true) throw ownedElsewhere(sessionId, host, "it is not taken from it");
      const asked = await this.#elsewhere.resume(sessionId, loaded, options, host);
      if (asked !== undefined) return asked;
    }
  }

  /** Undefined when the session let go meanwhile. */
  async #resumeLive(running: Live, options: ResumeOptions): Promise<RunHandle | undefined> {
    const { session } = running;
    const blobs: NewBlobs = new Map();
    const facts = await factsOfResume(session.state, options, this.#commandPorts(session.code), blobs);
    if (facts.length > 0 && (await this.#parts.live.commit(session, facts, blobs)) === undefined) return undefined;
    return session.open ? watchedHandle(this.#parts, running, options.signal) : this.#parts.live.handleOf(running);
  }

  /** Of a session that nobody owns. @throws {OrchestraError} `ORCH_SESSION_STATE`, `ORCH_AGENT_UNKNOWN`, `ORCH_CONDITION_UNKNOWN`, `ORCH_MIGRATION`, `ORCH_FENCED` */
  async resumeLoaded(sessionId: string, loaded: LoadedSession, options: ResumeOptions): Promise<RunHandle> {
    const { live, ports } = this.#parts;
    const { state, epoch, lastAtMs } = loaded.position;
    const { run } = state;
    if (run === null || run.end !== null) throw notUnderWay(state);
    const code = options.code ?? this.#parts.codes.get(run.topologyHash);
    if (code === undefined) {
      throw new OrchestraError(
        "ORCH_AGENT_UNKNOWN",
        `session "${sessionId}": its agents were not given; hand them over to resume it`,
        { details: { sessionId } },
      );
    }
    const blobs: NewBlobs = new Map();
    if (run.parent === undefined && !this.#elsewhere.mayOwn(run.topology, code))
      return this.#resumeAside(sessionId, loaded, code, options);
    const nowMs = ports.clock.nowMs();
    const move = moveOnResume(state, code, nowMs);
    assertCodeWhole(sessionId, move?.state.run ?? run, code, await this.#elsewhere.served());
    code.assertFits?.(sessionId, await ports.values.resolve(run.task));
    // Down-time moves open deadlines only when the run was moving; a pause moves them by itself.
    const downMs = state.status === "running" && options.takesOver !== true ? Math.max(0, nowMs - lastAtMs) : 0;
    const facts: Fact[] = [{ type: "owned", host: ports.host, epoch: epoch + 1, shiftMs: downMs }];
    facts.push(...(await factsOfResume(state, options, this.#commandPorts(code), blobs, move)));
    const start = {
      sessionId,
      code,
      position: loaded.position,
      replayed: loaded.replayed,
      maxConcurrency: code.maxConcurrency ?? this.#parts.maxConcurrency,
      continues: true,
      interrupted: state.status === "running",
    };
    const { live: opened } = await live.open(start, facts, blobs);
    this.#checkpoints.automate(opened.session, code.autoCheckpoint, run.steps);
    try {
      await this.#catchUp(opened.session);
      await this.#parts.readInbox(opened.session);
    } finally {
      opened.session.caughtUp();
    }
    return watchedHandle(this.#parts, opened, options.signal);
  }

  async #resumeAside(
    sessionId: string,
    { position }: LoadedSession,
    code: RunCode,
    options: ResumeOptions,
  ): Promise<RunHandle> {
    const blobs: NewBlobs = new Map();
    const facts = await factsOfResume(position.state, options, this.#commandPorts(code), blobs);
    if (facts.length > 0) await this.#elsewhere.commit(sessionId, position, facts, blobs);
    else this.#parts.cluster?.abandoned(sessionId);
    return this.#elsewhere.followed({ sessionId, runId: position.state.run?.runId ?? "" }, options.signal);
  }

  /** What the bus was told of the session while nobody had it. */
  async #catchUp({ sessionId, registry }: Session): Promise<void> {
    const { results, deadLetters } = this.#parts.ports.bus;
    for (const result of await results.list(sessionId)) registry.received(result);
    for (const letter of await deadLetters.list({ sessionId })) registry.buried(letter);
  }

  #commandPorts(code: RunCode) {
    const { values, clock } = this.#parts.ports;
    return { values, code, nowMs: clock.nowMs() };
  }
}

function asksForMore({ context, userResponse, answers }: ResumeOptions): boolean {
  return context !== undefined || userResponse !== undefined || answers !== undefined;
}
