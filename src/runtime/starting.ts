// Starting: a run begins in a session, new or not.

import type { Fact } from "../actors/facts.ts";
import { isOrchestraError } from "../base/errors.ts";
import type { CheckpointDesk } from "./checkpoint-desk.ts";
import { earlierRun, handleOfRun } from "./earlier-run.ts";
import type { Elsewhere } from "./elsewhere.ts";
import { stepsOf } from "./engine-parts.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { RunHandle, StartRequest } from "./engine-api.ts";
import { busy, ownedElsewhere } from "./live-sessions.ts";
import { loadSession, newPosition } from "./log-fold.ts";
import type { LogPosition } from "./committer.ts";
import { assertCodeWhole } from "./missing-code.ts";
import type { Resuming } from "./resuming.ts";
import { loggedHandle, SIGNAL_ABORTED, watchedHandle } from "./run-handles.ts";
import { isSameRun, startedFact } from "./started-fact.ts";
import type { NewBlobs } from "./values.ts";

export interface StartingPorts {
  readonly parts: EngineParts;
  readonly checkpoints: CheckpointDesk;
  readonly elsewhere: Elsewhere;
  readonly resuming: Resuming;
  /** @throws {OrchestraError} when no more may begin. */
  assertAccepting(nested: boolean): void;
}

export class Starting {
  readonly #at: StartingPorts;

  constructor(ports: StartingPorts) {
    this.#at = ports;
  }

  /** One at a time per session. `mayExist`: the session may be known already. */
  async start(sessionId: string, request: StartRequest, mayExist: boolean): Promise<RunHandle> {
    const { parts, elsewhere, resuming } = this.#at;
    const { live, ports } = parts;
    const running = live.get(sessionId);
    if (running !== undefined) {
      const earlier = earlierRun(running.session.state, request);
      if (earlier !== undefined) return handleOfRun(ports, sessionId, earlier);
      if (isSameRun(running.session.state, request)) return live.handleOf(running);
      if (request.fresh !== true) throw busy(sessionId, "a run of it is under way");
      running.session.committer.submit([{ type: "cancelled", reason: "the session was started over" }]);
      await running.outcome;
    }
    const loaded = mayExist ? await loadSession(ports.store, sessionId) : null;
    const before = loaded?.position.state;
    const earlier = before === undefined ? undefined : earlierRun(before, request);
    if (earlier !== undefined) return handleOfRun(ports, sessionId, earlier);
    const host = loaded === null ? null : await parts.ownerElsewhere(sessionId, loaded.entry);
    if (loaded !== null && before?.run && isSameRun(before, request) && request.fresh !== true) {
      const { runId } = before.run;
      if (host !== null) return elsewhere.followed({ sessionId, runId }, request.signal, host);
      if (before.run.end === null && before.status === "running")
        return resuming.resumeLoaded(sessionId, loaded, { code: request.code }).catch((error: unknown) => {
          if (request.parent !== undefined || !isOrchestraError(error, "ORCH_FENCED")) throw error;
          return elsewhere.followed({ sessionId, runId }, request.signal);
        });
      return loggedHandle(parts, sessionId, before);
    }
    if (host !== null) throw ownedElsewhere(sessionId, host, "cancel its run before starting another");
    if (before?.run && before.run.end === null && request.fresh !== true) {
      throw busy(
        sessionId,
        `its run ${before.run.runId} is ${before.status}; resume it, cancel it, or start over with fresh`,
      );
    }
    if (request.followUp === true && before?.run?.topologyHash === request.topologyHash)
      assertCodeWhole(sessionId, before.run, request.code, await elsewhere.served());
    if (before?.run && before.run.end === null) await parts.nestedEnds.around(sessionId, stepsOf(before));
    const blobs: NewBlobs = new Map();
    const fact = startedFact(ports, request, before, blobs);
    // A signal that is aborted already: the run is recorded, and ends before any agent is called.
    const facts: Fact[] =
      request.signal?.aborted === true ? [fact, { type: "cancelled", reason: SIGNAL_ABORTED }] : [fact];
    const position = loaded?.position ?? newPosition(sessionId, !mayExist);
    // Others may have begun while the log was read: from here to its place among the live ones nothing is awaited.
    this.#at.assertAccepting(request.parent !== undefined);
    return request.parent !== undefined || elsewhere.mayOwn(request.topology, request.code)
      ? this.#here(sessionId, request, position, loaded?.replayed ?? 0, facts, blobs)
      : this.#aside(sessionId, request, position, facts, blobs);
  }

  async #here(
    sessionId: string,
    request: StartRequest,
    position: LogPosition,
    replayed: number,
    facts: readonly Fact[],
    blobs: NewBlobs,
  ): Promise<RunHandle> {
    const { parts, checkpoints } = this.#at;
    const { code } = request;
    const maxConcurrency = code.maxConcurrency ?? parts.maxConcurrency;
    const start = { sessionId, code, position, replayed, maxConcurrency, continues: false };
    const opened = await parts.live.open(start, facts, blobs).catch(asBusy(sessionId));
    if (!opened.answer.accepted) throw busy(sessionId, opened.answer.reasons.join("; "));
    checkpoints.automate(opened.live.session, request.autoCheckpoint);
    return watchedHandle(parts, opened.live, request.signal);
  }

  async #aside(
    sessionId: string,
    request: StartRequest,
    position: LogPosition,
    facts: readonly Fact[],
    blobs: NewBlobs,
  ): Promise<RunHandle> {
    const { elsewhere } = this.#at;
    const answer = await elsewhere.commit(sessionId, position, facts, blobs).catch(asBusy(sessionId));
    if (!answer.accepted) throw busy(sessionId, answer.reasons.join("; "));
    return elsewhere.followed({ sessionId, runId: answer.runId }, request.signal);
  }
}

/** Somebody else began the session in the same moment. */
function asBusy(sessionId: string): (error: unknown) => never {
  return (error) => {
    if (isOrchestraError(error, "ORCH_FENCED")) throw busy(sessionId, "another process just began a run of it");
    throw error;
  };
}
