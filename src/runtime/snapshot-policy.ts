// Snapshot policy: when replay from the last snapshot would take too long. Pure counting.

import type { Commit } from "../state/ports.ts";

export const SNAPSHOT_COMMITS = 256;
export const SNAPSHOT_BYTES = 1024 * 1024;
export const SNAPSHOT_REPLAY_MS = 50;
/** What takes about as long to fold in a new process as to read a snapshot. */
const WORTHWHILE_COMMITS = 32;

export class SnapshotPolicy {
  #commits: number;
  #bytes = 0;
  #replayMs = 0;

  /** `replayed`: commits that already stand behind the last snapshot. */
  constructor(replayed: number) {
    this.#commits = replayed;
  }

  /** True when it is time to take one. `foldMs` is how long folding the commit took here. */
  note(commit: Commit, foldMs: number): boolean {
    this.#commits++;
    this.#replayMs += foldMs;
    for (const fact of commit.facts) this.#bytes += roughBytes(fact);
    return this.#commits > SNAPSHOT_COMMITS || this.#bytes > SNAPSHOT_BYTES || this.#replayMs > SNAPSHOT_REPLAY_MS;
  }

  /** Whether one is worth its bytes where a run stops that somebody is going to take up again. */
  get isWorthwhile(): boolean {
    return this.#commits >= WORTHWHILE_COMMITS;
  }

  taken(): void {
    this.#commits = 0;
    this.#bytes = 0;
    this.#replayMs = 0;
  }
}

// An estimate good to a factor of two is enough here, and is taken on every commit: strings down to the third level.
function roughBytes(value: unknown, levels = 4): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 8;
  if (value instanceof Uint8Array) return value.byteLength;
  if (levels === 0) return 64;
  let bytes = 2;
  for (const key in value) bytes += key.length + roughBytes((value as Record<string, unknown>)[key], levels - 1);
  return bytes;
}
