// Checkpoint desk: making, restoring and forking checkpoints of sessions, live or not.
//
// K1  A checkpoint is saved before it is told of: a crash between leaves one that nobody was promised.
// K2  Only what was made automatically is ever removed to make room.
// K3  What is nested in a session belongs to the steps before a restore, and is cancelled: a step that runs again from the
//     checkpoint begins its nested runs anew, and their questions get the answers given meanwhile.

import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { errorToData } from "../base/error-data.ts";
import { parseSessionId } from "../base/ids.ts";
import { wasRestored } from "./asked-checkpoints.ts";
import { commitAside } from "./aside.ts";
import { CHECKPOINT_ID, checkpointOf, forkInto, getCheckpoint, isAutomatic, restoredFact } from "./checkpoints.ts";
import type { StartRequest } from "./engine-api.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { Exclusive } from "./exclusive.ts";
import { ownedElsewhere } from "./live-sessions.ts";
import { loadSession } from "./log-fold.ts";
import { unknownSession } from "./outcome.ts";
import type { Session } from "./session.ts";

const AUTOMATIC = "auto";

export class CheckpointDesk {
  readonly #parts: EngineParts;
  readonly #exclusive: Exclusive;
  readonly #elsewhere: Elsewhere;

  constructor(parts: EngineParts, exclusive: Exclusive, elsewhere: Elsewhere) {
    this.#parts = parts;
    this.#exclusive = exclusive;
    this.#elsewhere = elsewhere;
  }

  /** @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`; `ORCH_SESSION_BUSY` when another host owns it and does not make the checkpoint. */
  async create(sessionId: string, name?: string, { automatic = false }: { automatic?: boolean } = {}): Promise<string> {
    const { live, ports } = this.#parts;
    const checkpointId = ports.ids.next(automatic ? CHECKPOINT_ID.automatic : CHECKPOINT_ID.own);
    const fact: Fact = { type: "checkpointed", checkpointId, name: name ?? checkpointId };
    const inLive = async (): Promise<boolean> => {
      const running = live.get(sessionId);
      if (running === undefined) return false;
      await ports.store.saveCheckpoint(
        checkpointOf(checkpointId, sessionId, fact.name, running.session.committer, ports.clock.nowMs()),
      );
      return (await live.commit(running.session, [fact])) !== undefined;
    };
    if (await inLive()) return checkpointId;
    return this.#exclusive.run(sessionId, async () => {
      for (;;) {
        // It may have become live while this waited its turn.
        if (await inLive()) return checkpointId;
        const loaded = await loadSession(ports.store, sessionId);
        if (loaded === null) throw unknownSession(sessionId);
        const host = await this.#parts.ownerElsewhere(sessionId, loaded.entry);
        if (host !== null) {
          this.#elsewhere.assertReaches(sessionId, host, "make the checkpoint there");
          const body = { checkpointId, name: fact.name };
          const seen = await this.#elsewhere.ask(sessionId, { type: "checkpoint", body });
          if ((await ports.store.getCheckpoint(checkpointId)) !== null) return checkpointId;
          if (seen) throw ownedElsewhere(sessionId, host, "it could not make the checkpoint");
          continue;
        }
        await ports.store.saveCheckpoint(
          checkpointOf(checkpointId, sessionId, fact.name, loaded.position, ports.clock.nowMs()),
        );
        await commitAside(ports, sessionId, loaded.position, [fact]);
        return checkpointId;
      }
    });
  }

  /** @throws {OrchestraError} `ORCH_CHECKPOINT_UNKNOWN`, `ORCH_STORE_VERSION`, `ORCH_SESSION_BUSY` */
  async restore(checkpointId: string): Promise<boolean> {
    const { live, ports } = this.#parts;
    const checkpoint = await getCheckpoint(ports, checkpointId);
    const { sessionId } = checkpoint;
    const facts = [restoredFact(checkpoint)];
    const inLive = async (): Promise<boolean | undefined> => {
      const running = live.get(sessionId);
      const answer = running === undefined ? undefined : await live.commit(running.session, facts);
      if (answer === undefined) return undefined;
      await running?.outcome;
      if (answer.accepted && running !== undefined) await this.#cancelNested(running.session.state);
      return answer.accepted;
    };
    const done = await inLive();
    if (done !== undefined) return done;
    return this.#exclusive.run(sessionId, async () => {
      for (;;) {
        // It may have become live while this waited its turn.
        const late = await inLive();
        if (late !== undefined) return late;
        const loaded = await loadSession(ports.store, sessionId);
        if (loaded === null) throw unknownSession(sessionId);
        const { n } = loaded.position;
        const host = await this.#parts.ownerElsewhere(sessionId, loaded.entry);
        if (host !== null) {
          this.#elsewhere.assertReaches(sessionId, host, "restore the checkpoint there, or pause the run first");
          const seen = await this.#elsewhere.ask(sessionId, { type: "restore", body: { checkpointId } });
          const restored = await wasRestored(ports.store, sessionId, checkpointId, n);
          if (restored || seen) return restored;
          continue;
        }
        const { accepted, state } = await commitAside(ports, sessionId, loaded.position, facts);
        if (accepted) await this.#cancelNested(state);
        return accepted;
      }
    });
  }

  /** K3. `restored`: the session right after. */
  #cancelNested({ sessionId, generation }: SessionState): Promise<void> {
    return this.#parts.nestedEnds.around(sessionId, { generation: generation - 1, run: Infinity });
  }

  async fork(checkpointId: string, named?: string): Promise<string> {
    const { ports } = this.#parts;
    const checkpoint = await getCheckpoint(ports, checkpointId);
    const sessionId = parseSessionId(named ?? ports.ids.next("s"));
    await this.#exclusive.run(sessionId, () => forkInto(ports, checkpoint, sessionId));
    return sessionId;
  }

  /** Makes one after every so many steps from `fromSteps` on; the last `keep` of them stay. */
  automate(session: Session, policy: StartRequest["autoCheckpoint"], fromSteps = 0): void {
    const every = policy?.everySteps;
    if (every === undefined) return;
    const { sessionId } = session;
    let taken = Math.floor(fromSteps / every);
    this.#parts.afterEachCommit(session, () => {
      const steps = session.state.run?.steps ?? 0;
      if (Math.floor(steps / every) <= taken) return;
      taken = Math.floor(steps / every);
      void this.create(sessionId, `${AUTOMATIC}-${steps}`, { automatic: true })
        .then(() => this.#trim(sessionId, policy?.keep))
        .catch((error: unknown) =>
          this.#parts.ports.logger.warn(
            { sessionId, error: errorToData(error) },
            "an automatic checkpoint could not be made",
          ),
        );
    });
  }

  async #trim(sessionId: string, keep: number | undefined): Promise<void> {
    if (keep === undefined) return;
    const { store } = this.#parts.ports;
    const automatic = (await store.listCheckpoints(sessionId)).filter(
      (checkpoint) => isAutomatic(checkpoint) && checkpoint.name.startsWith(`${AUTOMATIC}-`),
    );
    for (const { checkpointId } of automatic.slice(0, Math.max(0, automatic.length - keep)))
      await store.deleteCheckpoint(checkpointId);
  }
}
