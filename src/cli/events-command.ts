// `events`: what happened in a session, and with `--follow` what happens, until its run has ended.
//
// A store that nobody has open is let go of between looks, so that the process to be followed can open it, and is not
// looked into again before something in its folder has changed.

import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import type { EventView } from "../control/index.ts";
import { eventLine, isOrchestraError, type RunEvent } from "../index.ts";
import { EXIT } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { requiredFolder, type StoreFlags } from "./session-options.ts";
import { pausingText } from "./session-commands.ts";
import { knownSession, withStore, type OpenStore } from "./store-access.ts";
import { paintMark } from "./style.ts";

const LOOK_MS = 250;

export interface EventsFlags extends StoreFlags {
  readonly json?: boolean;
  readonly follow?: boolean;
  readonly after?: number;
}

/** The lines in which an event is told; default: one, as JSON or for people. */
export type EventLines = (event: EventView) => readonly string[];

export async function eventsCommand(
  sessionId: string,
  flags: EventsFlags,
  io: Io,
  lines?: EventLines,
): Promise<number> {
  const stopped = new AbortController();
  let code: number = EXIT.ok;
  const stop = io.onSignal((signal) => {
    code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
    stopped.abort();
  });
  const reader = new Reader(sessionId, flags, io, stopped.signal, lines);
  try {
    while (!(await reader.look()) && !stopped.signal.aborted) await reader.change();
    return code;
  } finally {
    stop();
  }
}

const ENDED: readonly string[] = ["completed", "failed", "cancelled"];

class Reader {
  readonly #sessionId: string;
  readonly #flags: EventsFlags;
  readonly #io: Io;
  readonly #signal: AbortSignal;
  readonly #lines: EventLines;
  #after: number;
  #looked = false;

  constructor(sessionId: string, flags: EventsFlags, io: Io, signal: AbortSignal, lines?: EventLines) {
    this.#sessionId = sessionId;
    this.#flags = flags;
    this.#io = io;
    this.#signal = signal;
    this.#lines = lines ?? ((event) => [flags.json ? JSON.stringify(event) : this.#line(event)]);
    this.#after = flags.after ?? 0;
  }

  /** Prints what there is, and while another process is at it what comes. Resolves with whether that was all. */
  async look(): Promise<boolean> {
    try {
      return await withStore(this.#flags, this.#io, (store) => this.#read(store));
    } catch (error) {
      // The process that was followed is gone, or another one is just opening the store.
      const passing =
        (isOrchestraError(error, "ORCH_CONTROL") && error.details["gone"] === true) ||
        (isOrchestraError(error, "ORCH_STORE_LOCKED") && this.#looked);
      if (this.#flags.follow && passing) return false;
      throw error;
    }
  }

  /** Resolves once something in the folder has changed: a process opened it, or let go of it. */
  async change(): Promise<void> {
    const folder = requiredFolder(this.#flags, this.#io);
    const changedMs = (): Promise<number> =>
      stat(folder).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
    const before = await changedMs();
    do await sleep(LOOK_MS, undefined, { signal: this.#signal }).catch(() => undefined);
    while (!this.#signal.aborted && (await changedMs()) === before);
  }

  async #read(store: OpenStore): Promise<boolean> {
    await knownSession(store, this.#sessionId);
    this.#looked = true;
    await this.#print(store, false);
    await this.#sayPausing(store);
    if (!this.#flags.follow) return true;
    if (await this.#ended(store)) {
      // It may have ended since they were printed.
      await this.#print(store, false);
      return true;
    }
    if (store.pid === null && !store.shared) return false;
    return this.#print(store, true);
  }

  async #print(store: OpenStore, follow: boolean): Promise<boolean> {
    const done = new AbortController();
    const signal = AbortSignal.any([this.#signal, done.signal]);
    for await (const event of store.operations.events(
      { sessionId: this.#sessionId, after: this.#after, follow },
      signal,
    )) {
      this.#after = event.seq;
      for (const line of this.#lines(event)) this.#io.out(line);
      if (follow && event.type === "run.paused") await this.#sayPausing(store);
      if (follow && /^run\.(completed|failed|cancelled)$/.test(event.type) && (await this.#ended(store))) {
        done.abort();
        return true;
      }
    }
    return false;
  }

  /** The log says nothing of what happens while steps in flight finish. */
  async #sayPausing({ operations }: OpenStore): Promise<void> {
    const sessionId = this.#sessionId;
    if ((await operations.session({ sessionId }))?.status !== "pausing") return;
    this.#io.err(`pausing: ${pausingText(await operations.why({ sessionId }))}`);
  }

  async #ended({ operations }: OpenStore): Promise<boolean> {
    const session = await operations.session({ sessionId: this.#sessionId });
    return session === null || ENDED.includes(session.status);
  }

  #line(event: EventView): string {
    // The view of an event has the fields of the event.
    const line = eventLine(event as EventView & RunEvent);
    return `${event.seq}  ${paintMark(this.#io.stdout, ` ${line}`).trimStart()}`;
  }
}
