// Snapshots on the bus: bucket orch_snapshots, `<sid>.<n>`.

import { encodeValue } from "../base/codec.ts";
import { isOrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { encodeRecord } from "../base/record.ts";
import { keys } from "../state/level-keys.ts";
import type { Snapshot } from "../state/ports.ts";
import { streamOfBucket } from "./assets.ts";
import { encodeName, type Names } from "./names.ts";
import type { BlobShelf } from "./store-blobs.ts";
import { dropLarge, readLarge, storeLarge, type Placed } from "./store-large.ts";
import type { StoredMessage } from "./store-message.ts";
import { assertOurs, decodeMap, SEQ_HEADER } from "./store-records.ts";
import type { StreamAccess } from "./store-stream.ts";

const POSITION_MAX = 999_999_999_999;

export interface SnapshotPorts {
  readonly streams: StreamAccess;
  readonly names: Names;
  readonly blobs: BlobShelf;
  readonly logger: Logger;
}

export class Snapshots {
  readonly stream: string;
  readonly #ports: SnapshotPorts;

  constructor(ports: SnapshotPorts) {
    this.#ports = ports;
    this.stream = streamOfBucket(ports.names.buckets.snapshots);
  }

  /** `seq`: where the commit it was taken at stands in the stream of logs, if that is known. */
  async save(sessionId: string, snapshot: Snapshot, seq: number | undefined): Promise<void> {
    const place = this.#place(sessionId, snapshot.n);
    await storeLarge(this.#ports, this.stream, {
      ...place,
      record: encodeRecord("snapshot", encodeValue(snapshot), place.key),
      headers: seq === undefined ? {} : { [SEQ_HEADER]: String(seq) },
    });
  }

  /** Positions, ascending. */
  async positions(sessionId: string): Promise<readonly number[]> {
    const subjects = await this.#ports.streams.subjects(this.stream, this.#subject(sessionId, "*"));
    return [...subjects.keys()].map(positionIn).sort((a, b) => a - b);
  }

  async has(sessionId: string, n: number): Promise<boolean> {
    return (await this.#ports.streams.subjects(this.stream, this.#place(sessionId, n).subject)).size > 0;
  }

  /** The newest good one, and the sequence of the commit it was taken at if that is known. */
  async newest(sessionId: string, atMostN: number): Promise<{ snapshot: Snapshot; seq: number | undefined } | null> {
    for (const n of (await this.positions(sessionId)).toReversed()) {
      const found = n > atMostN ? null : await this.#good(sessionId, n, "falling back to an older one");
      if (found !== null) return found;
    }
    return null;
  }

  /** Those that can be read, ascending: a cut must not rest on one that cannot. */
  async good(sessionId: string): Promise<readonly Snapshot[]> {
    const good: Snapshot[] = [];
    for (const n of await this.positions(sessionId)) {
      const found = await this.#good(sessionId, n, "compaction does without it");
      if (found !== null) good.push(found.snapshot);
    }
    return good;
  }

  async drop(sessionId: string, n: number): Promise<void> {
    await dropLarge(this.#ports, this.stream, this.#place(sessionId, n));
  }

  /** Blobs go with the session. */
  async dropAll(sessionId: string): Promise<void> {
    await this.#ports.streams.purge(this.stream, this.#subject(sessionId, "*"));
  }

  /** @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
  async decode(sessionId: string, message: StoredMessage): Promise<Snapshot> {
    assertOurs(message);
    const key = keys.snapshot(sessionId, positionIn(message.subject));
    return decodeMap<Snapshot>("snapshot", await readLarge(this.#ports, message, key), key, "n");
  }

  async #good(
    sessionId: string,
    n: number,
    instead: string,
  ): Promise<{ snapshot: Snapshot; seq: number | undefined } | null> {
    const message = await this.#ports.streams.last(this.stream, this.#place(sessionId, n).subject);
    if (message === null) return null;
    try {
      const snapshot = await this.decode(sessionId, message);
      return { snapshot, seq: Number(message.header(SEQ_HEADER)) || undefined };
    } catch (error) {
      if (isOrchestraError(error, "ORCH_STORE_VERSION")) throw error;
      this.#ports.logger.warn({ sessionId, n, err: error }, `a snapshot cannot be read; ${instead}`);
      return null;
    }
  }

  #place(sessionId: string, n: number): Pick<Placed, "subject" | "key" | "use"> {
    const position = String(Math.min(n, POSITION_MAX)).padStart(12, "0");
    return {
      subject: this.#subject(sessionId, position),
      key: keys.snapshot(sessionId, n),
      use: { sessionId, use: `snapshot ${n}` },
    };
  }

  #subject(sessionId: string, position: string): string {
    return `$KV.${this.#ports.names.buckets.snapshots}.${encodeName(sessionId)}.${position}`;
  }
}

function positionIn(subject: string): number {
  return Number(subject.slice(subject.lastIndexOf(".") + 1));
}
