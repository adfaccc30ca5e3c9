// Checkpoints: names for commits, with the state pinned. Restoring appends; nothing is ever rewound.

import { isDeepStrictEqual } from "node:util";
import type { Fact } from "../actors/facts.ts";
import type { KernelEvent } from "../actors/effects.ts";
import { REDUCER_VERSION } from "../actors/session-state.ts";
import { decodeState, encodeState } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Checkpoint } from "../state/ports.ts";
import { commitAside } from "./aside.ts";
import type { LogPosition } from "./committer.ts";
import type { EnginePorts } from "./engine-ports.ts";
import type { RecordedStep } from "./engine-api.ts";
import { foldLog, foldStart, newPosition } from "./log-fold.ts";
import { comparable, partingOf } from "./parting.ts";
import { Recorder } from "./recorder.ts";

export function checkpointOf(
  checkpointId: string,
  sessionId: string,
  name: string,
  position: Pick<LogPosition, "state" | "n" | "lastAtMs">,
  nowMs: number,
): Checkpoint {
  const { state, n, lastAtMs } = position;
  const snapshot = {
    n,
    reducer: REDUCER_VERSION,
    topologyHash: state.run?.topologyHash ?? null,
    atMs: lastAtMs,
    state: encodeState(state),
  };
  return { checkpointId, sessionId, name, n, atMs: nowMs, status: state.status, snapshot };
}

/** Prefixes of ids. A user names a checkpoint as they like, so who made it is told by its id. */
export const CHECKPOINT_ID = Object.freeze({ own: "cp", automatic: "cpa" });

/** Made by the runtime of its own accord, to be removed when newer ones come. */
export function isAutomatic({ checkpointId }: Pick<Checkpoint, "checkpointId">): boolean {
  return checkpointId.startsWith(`${CHECKPOINT_ID.automatic}_`);
}

/** @throws {OrchestraError} `ORCH_CHECKPOINT_UNKNOWN`, `ORCH_STORE_VERSION` */
export async function getCheckpoint(ports: Pick<EnginePorts, "store">, checkpointId: string): Promise<Checkpoint> {
  const checkpoint = await ports.store.getCheckpoint(checkpointId);
  if (checkpoint === null)
    throw new OrchestraError("ORCH_CHECKPOINT_UNKNOWN", `no checkpoint "${checkpointId}" in this store`, {
      details: { checkpointId },
    });
  // Read now, so that a state of another version is refused before anything is written.
  decodeState(checkpoint.snapshot.state, checkpoint.snapshot.reducer);
  return checkpoint;
}

export function restoredFact({ checkpointId, n, snapshot }: Checkpoint): Fact {
  return { type: "restored", checkpointId, fromN: n, state: snapshot.state, reducer: snapshot.reducer };
}

/** Begins `sessionId` where the checkpoint stood. @throws {OrchestraError} `ORCH_SESSION_BUSY` when it exists. */
export async function forkInto(ports: EnginePorts, checkpoint: Checkpoint, sessionId: string): Promise<void> {
  if ((await ports.store.getSession(sessionId)) !== null) {
    throw new OrchestraError("ORCH_SESSION_BUSY", `session "${sessionId}" exists; a fork begins a new one`, {
      details: { sessionId },
    });
  }
  await commitAside(ports, sessionId, newPosition(sessionId), [restoredFact(checkpoint)]);
}

export interface HistoryDiff {
  readonly equal: boolean;
  readonly commonCommits: number;
  readonly a: readonly RecordedStep[];
  readonly b: readonly RecordedStep[];
  /** In what they differ where they part; null when they are equal. */
  readonly parting: { readonly a: string; readonly b: string } | null;
}

interface Told {
  readonly id: string;
  readonly facts: readonly Fact[];
  readonly events: readonly KernelEvent[];
  readonly atMs: number;
}

/** Compares what was recorded, not when: two histories are equal while their facts are. */
export async function diffHistories(ports: Pick<EnginePorts, "store">, a: string, b: string): Promise<HistoryDiff> {
  const [left, right] = [await historyOf(ports, a), await historyOf(ports, b)];
  let common = 0;
  while (common < left.length && common < right.length && same(left[common] as Told, right[common] as Told)) common++;
  const [restA, restB] = [stepsAfter(left, common), stepsAfter(right, common)];
  const equal = common === left.length && common === right.length;
  const parting = equal ? null : partingOf(left[common]?.facts, right[common]?.facts);
  return { equal, commonCommits: common, a: restA, b: restB, parting };
}

/** A session's commits; those before a fork are its parent's. */
async function historyOf(ports: Pick<EnginePorts, "store">, id: string, depth = 0): Promise<Told[]> {
  const checkpoint = await ports.store.getCheckpoint(id);
  const sessionId = checkpoint?.sessionId ?? id;
  const untilN = checkpoint?.n ?? Infinity;
  const told: Told[] = [];
  for await (const { commit, reduction } of foldLog(
    ports.store,
    sessionId,
    await foldStart(ports.store, sessionId, 0),
  )) {
    if (commit.n > untilN) break;
    const [first] = commit.facts;
    if (commit.n === 1 && first?.type === "restored" && depth < 64) {
      const origin = await ports.store.getCheckpoint(first.checkpointId);
      if (origin !== null) {
        told.push(...(await historyOf(ports, origin.checkpointId, depth + 1)));
        continue;
      }
    }
    told.push({ id: commit.id, facts: commit.facts, events: reduction.events, atMs: commit.atMs });
  }
  if (told.length === 0 && checkpoint !== null) {
    throw new OrchestraError(
      "ORCH_SESSION_STATE",
      `checkpoint "${id}": the part of the log that led to it was compacted away`,
      { details: { id, sessionId } },
    );
  }
  if (told.length === 0)
    throw new OrchestraError("ORCH_SESSION_UNKNOWN", `no session or checkpoint "${id}" in this store`, {
      details: { id },
    });
  return told;
}

function same(a: Told, b: Told): boolean {
  return a.id === b.id || isDeepStrictEqual(a.facts.map(comparable), b.facts.map(comparable));
}

function stepsAfter(history: readonly Told[], common: number): RecordedStep[] {
  const recorder = new Recorder();
  const steps: RecordedStep[] = [];
  for (const [i, { events, atMs }] of history.entries()) {
    for (const event of events) {
      const before = recorder.endedSteps;
      recorder.fold([event], atMs);
      const step = recorder.endedSteps > before && i >= common ? recorder.lastStep() : undefined;
      if (step !== undefined) steps.push(step);
    }
  }
  return steps;
}
