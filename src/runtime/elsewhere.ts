// Elsewhere
//
// Owns:      what is asked of sessions that another host owns, and of those that nobody here could own.
// Does not:  write to a log that has an owner: what is asked for is put into its inbox.
//
// E1  What was asked for has been seen to once the owner has committed past its place in the inbox. An owner that goes
//     before leaves it to the next, and to whoever asks again.
// E2  A process that has no agents owns nothing. It commits what it is asked for to sessions without an owner, leaves them
//     without one, and calls that out; a host that adopts goes on with them.

import type { Fact } from "../actors/facts.ts";
import { openQuestions } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import type { InboxCommand } from "../bus/ports.ts";
import type { TopologyData } from "../topology/types.ts";
import { assignAnswers } from "./answers.ts";
import { commitAside } from "./aside.ts";
import type { Blobs, CommitAnswer, LogPosition } from "./committer.ts";
import type { EngineParts } from "./engine-parts.ts";
import type { Engine, RunCode, RunHandle } from "./engine-api.ts";
import { closed, ownedElsewhere } from "./live-sessions.ts";
import { loadSession, type LoadedSession } from "./log-fold.ts";
import { assertTaken } from "./posted-answers.ts";
import { notUnderWay } from "./resume-facts.ts";
import { followedHandle } from "./run-handles.ts";

type ResumeOptions = Parameters<Engine["resume"]>[1];

/** How long an owner may take to see to what it is asked. */
const ANSWER_MS = 30_000;
const POLL_MS = 50;
const RESUME_ELSEWHERE =
  "pause, cancel and answer reach it from here; it can be resumed here once it is paused and its steps in flight have ended";
const POLL_MS_MAX = 1_000;

export class Elsewhere {
  readonly #parts: EngineParts;
  readonly #cancel: (sessionId: string, reason: string) => Promise<boolean>;

  constructor(parts: EngineParts, cancel: (sessionId: string, reason: string) => Promise<boolean>) {
    this.#parts = parts;
    this.#cancel = cancel;
  }

  /** E2. Whether a run with this code may be live here. */
  mayOwn({ nodes }: TopologyData, code: RunCode): boolean {
    if (this.#parts.cluster === undefined || code.agents.names().length > 0) return true;
    const { worker } = this.#parts.ports;
    return nodes.every(
      ({ kind, uses, name }) =>
        kind === "user" ||
        kind === "start" ||
        kind === "end" ||
        worker.agentFor(kind, uses ?? name, code) !== undefined,
    );
  }

  /** Agents that hosts which are alive serve. */
  async served(): Promise<ReadonlySet<string>> {
    const hosts = (await this.#parts.cluster?.roster.look()) ?? [];
    return new Set(hosts.flatMap(({ agents }) => agents));
  }

  /** Asks the owner to go on with the session. Undefined when it let go of it meanwhile. */
  async resume(
    sessionId: string,
    { position }: LoadedSession,
    options: ResumeOptions,
    host: string,
  ): Promise<RunHandle | undefined> {
    const { state } = position;
    const { run } = state;
    this.assertReaches(sessionId, host, RESUME_ELSEWHERE);
    if (run === null || run.end !== null) throw notUnderWay(state);
    const answers = Object.fromEntries(assignAnswers(sessionId, openQuestions(state), options));
    const { context } = options;
    const asks = context !== undefined || Object.keys(answers).length > 0 || state.status !== "running";
    if (asks) {
      const body = { answers, ...(context !== undefined && { context }) };
      if (!(await this.ask(sessionId, { type: "resume", body }))) return undefined;
      await assertTaken(this.#parts.ports, position, answers);
    }
    return this.followed({ sessionId, runId: run.runId }, options.signal, host);
  }

  /** Engines that share no bus ask each other for nothing but to stop. @throws {OrchestraError} `ORCH_SESSION_BUSY` */
  assertReaches(sessionId: string, host: string, cure: string): void {
    if (this.#parts.cluster === undefined) throw ownedElsewhere(sessionId, host, cure);
  }

  /** E1. False when the owner let go of the session before it saw to it. @throws {OrchestraError} `ORCH_SESSION_BUSY` when it takes too long. */
  async ask(sessionId: string, asked: Omit<InboxCommand, "id">): Promise<boolean> {
    const { ports } = this.#parts;
    const inbox = this.#parts.inboxOf(sessionId);
    const id = ports.ids.next("cmd");
    await inbox.post(sessionId, { id, ...asked });
    const untilMs = ports.clock.monotonicMs() + ANSWER_MS;
    for (let waitMs = POLL_MS; ; waitMs = Math.min(2 * waitMs, POLL_MS_MAX)) {
      const waiting = await inbox.read(sessionId, await this.#inboxPosition(sessionId));
      if (!waiting.some(({ command }) => command.id === id)) return true;
      const entry = await ports.store.getSession(sessionId);
      const host = entry === null ? null : await this.#parts.ownerElsewhere(sessionId, entry);
      if (host === null) return false;
      if (ports.clock.monotonicMs() > untilMs)
        throw ownedElsewhere(sessionId, host, `it has not seen to "${asked.type}" within ${ANSWER_MS} ms`);
      await new Promise<void>((resolve) => ports.deadlines.after(waitMs, resolve));
    }
  }

  /**
   * The same of a session that waits for people and so has no owner: a host that adopts takes it up for that.
   *
   * @throws {OrchestraError} `ORCH_SESSION_BUSY` when none does in time; what was asked is then seen to by the next owner.
   */
  async askAnyHost(sessionId: string, asked: Omit<InboxCommand, "id">): Promise<void> {
    const { ports, cluster } = this.#parts;
    const inbox = this.#parts.inboxOf(sessionId);
    const id = ports.ids.next("cmd");
    await inbox.post(sessionId, { id, ...asked });
    const untilMs = ports.clock.monotonicMs() + ANSWER_MS;
    for (let waitMs = POLL_MS; ; waitMs = Math.min(2 * waitMs, POLL_MS_MAX)) {
      cluster?.abandoned(sessionId);
      await new Promise<void>((resolve) => ports.deadlines.after(waitMs, resolve));
      const waiting = await inbox.read(sessionId, await this.#inboxPosition(sessionId));
      if (!waiting.some(({ command }) => command.id === id)) return;
      if (ports.clock.monotonicMs() > untilMs)
        throw ownedElsewhere(sessionId, "none", `no host has seen to "${asked.type}" within ${ANSWER_MS} ms`);
    }
  }

  /** Whether a host that takes over sessions is alive. */
  async adopted(): Promise<boolean> {
    return ((await this.#parts.cluster?.roster.look()) ?? []).some(({ adopts }) => adopts);
  }

  /** E2. @throws {OrchestraError} `ORCH_FENCED` when an owner appeared meanwhile. */
  async commit(
    sessionId: string,
    position: LogPosition,
    facts: readonly Fact[],
    blobs?: Blobs,
  ): Promise<CommitAnswer & { readonly runId: string }> {
    const { accepted, reasons, n, state } = await commitAside(this.#parts.ports, sessionId, position, facts, blobs);
    if (accepted && state.status === "running") this.#parts.cluster?.abandoned(sessionId);
    return { accepted, reasons, n, runId: state.run?.runId ?? "" };
  }

  followed(
    run: { readonly sessionId: string; readonly runId: string },
    signal: AbortSignal | undefined,
    host?: string,
  ): RunHandle {
    const { sessionId } = run;
    const lost =
      host === undefined
        ? closed(sessionId)
        : ownedElsewhere(sessionId, host, "its outcome cannot be followed any more");
    const cancel = (): void => void this.#cancel(sessionId, "its signal was aborted").catch(() => undefined);
    return followedHandle(this.#parts, run, lost, signal === undefined ? undefined : { signal, cancel });
  }

  async #inboxPosition(sessionId: string): Promise<number> {
    const { store } = this.#parts.ports;
    const last = await store.last(sessionId);
    if (last !== null) for await (const commit of store.read(sessionId, last.n)) return commit.inbox ?? 0;
    const loaded = await loadSession(store, sessionId);
    if (loaded === null) throw new OrchestraError("ORCH_SESSION_UNKNOWN", `session "${sessionId}" is gone`);
    return loaded.position.inbox;
  }
}
