// Store access: the sessions of a store, whether nobody has it open, or another process does that can be spoken to.

import { setTimeout as sleep } from "node:timers/promises";

import { connectControl, operationsOf, type Operations, type SessionView } from "../control/index.ts";
import { isOrchestraError, LevelStorage, OrchestraError, OrchestraInstance, StateManager } from "../index.ts";
import { suggest } from "../topology/suggestion.ts";
import type { NatsConnectOptions } from "../nats/index.ts";
import type { Io } from "./io.ts";
import { loadNats } from "./nats-options.ts";
import { assertStoreExists, natsPlace, requiredFolder, type StoreFlags } from "./session-options.ts";

export interface OpenStore {
  /** How commands are told of it: `--store DIR` or `--nats URL`. */
  readonly place: string;
  readonly operations: Operations;
  /** Of the other process that has the store open; null when it is open here. */
  readonly pid: number | null;
  /** Hosts may be at its sessions, too. */
  readonly shared?: true;
}

/** Commands hold a store for a moment only, so one that is found locked may be free at once. */
const LOCKED_MS = 1_000;
const LOCKED_POLL_MS = 50;

/**
 * Acts on the store that `--store` or ORCHESTRA_STORE names.
 *
 * @throws {UsageError} when none is named, or there is none: looking makes no folder.
 * @throws {OrchestraError} `ORCH_STORE_LOCKED` when another process has it and cannot be spoken to.
 */
export async function withStore<T>(flags: StoreFlags, io: Io, act: (store: OpenStore) => Promise<T>): Promise<T> {
  const nats = natsPlace(flags, io);
  if (nats !== undefined) return withNats(nats, act);
  const folder = requiredFolder(flags, io);
  assertStoreExists(folder);
  return withFolder(folder, act);
}

/** Acts on the sessions of hosts. */
async function withNats<T>(options: NatsConnectOptions, act: (store: OpenStore) => Promise<T>): Promise<T> {
  const { natsBus } = await loadNats();
  const bus = natsBus(options);
  const instance = new OrchestraInstance({ bus }, { recover: false });
  try {
    const operations = operationsOf(instance, new StateManager({ storage: bus.sessions }));
    const place = `--nats ${[options.servers].flat().join(",")}`;
    return await act({ place, operations, pid: null, shared: true });
  } finally {
    await instance.close();
    await bus.close();
  }
}

/** @throws {OrchestraError} `ORCH_STORE_LOCKED` */
export async function withFolder<T>(folder: string, act: (store: OpenStore) => Promise<T>): Promise<T> {
  return untilFree(async () => {
    await using client = await connectControl(folder);
    if (client !== null)
      return { value: await act({ place: `--store ${folder}`, operations: client.operations, pid: client.pid }) };
    const stateManager = new StateManager({ storage: new LevelStorage(folder), compression: true });
    const lease = await stateManager.acquire();
    const instance = new OrchestraInstance({ stateManager }, { recover: false });
    try {
      return {
        value: await act({ place: `--store ${folder}`, operations: operationsOf(instance, stateManager), pid: null }),
      };
    } finally {
      await instance.close();
      await lease.release();
    }
  }).then(({ value }) => value);
}

/** Tries again for a second while another process has the store open. */
export async function untilFree<T>(open: () => Promise<T>): Promise<T> {
  const untilMs = Date.now() + LOCKED_MS;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!isOrchestraError(error, "ORCH_STORE_LOCKED") || Date.now() > untilMs) throw error;
      await sleep(LOCKED_POLL_MS);
    }
  }
}

const PAGE = 500;
/** Names that are looked through for the one that was meant. */
const NAMES_MAX = 5_000;

/** All sessions, a page at a time. */
export async function* allSessions(
  { sessions }: Operations,
  status?: SessionView["status"],
): AsyncGenerator<SessionView> {
  const stored = status === "interrupted" ? "running" : status === "pausing" ? "paused" : status;
  for (let cursor: string | undefined; ;) {
    const page = await sessions({
      limit: PAGE,
      ...(stored !== undefined && { status: stored }),
      ...(cursor !== undefined && { cursor }),
    });
    for (const one of page) if (status === undefined || one.status === status) yield one;
    if (page.length < PAGE) return;
    cursor = page.at(-1)?.sessionId;
  }
}

/** @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`, with the name that may have been meant. */
export async function knownSession({ operations }: OpenStore, sessionId: string): Promise<SessionView> {
  const session = await operations.session({ sessionId });
  if (session !== null) return session;
  const names: string[] = [];
  for await (const { sessionId: name } of allSessions(operations)) if (names.push(name) >= NAMES_MAX) break;
  throw unknown("session", sessionId, names);
}

/** The command that goes on with a session. */
export function resumeHint(sessionId: string, { place, shared }: OpenStore): string {
  return `orchestra resume ${sessionId} ${shared ? "" : "--file FILE "}${place}`;
}

/** Resolves to its session. @throws {OrchestraError} `ORCH_CHECKPOINT_UNKNOWN`, with the name that may have been meant. */
export async function assertCheckpoint({ operations }: OpenStore, checkpointId: string): Promise<string> {
  const names: string[] = [];
  for await (const { sessionId } of allSessions(operations)) {
    const ids = (await operations.checkpoints({ sessionId })).map((checkpoint) => checkpoint.checkpointId);
    if (ids.includes(checkpointId)) return sessionId;
    if (sessionId === checkpointId)
      throw new OrchestraError(
        "ORCH_CHECKPOINT_UNKNOWN",
        `"${checkpointId}" is a session; its checkpoints: ${ids.join(", ") || "none"}`,
        { details: { checkpointId } },
      );
    if (names.length < NAMES_MAX) names.push(...ids);
  }
  throw unknown("checkpoint", checkpointId, names);
}

function unknown(what: "session" | "checkpoint", id: string, names: readonly string[]): OrchestraError {
  const meant = suggest(id, names);
  const hint = meant === undefined ? `"orchestra sessions" lists what there is` : meant;
  return new OrchestraError(
    what === "session" ? "ORCH_SESSION_UNKNOWN" : "ORCH_CHECKPOINT_UNKNOWN",
    `no ${what} "${id}" in this store; ${hint}`,
    { details: { id } },
  );
}
