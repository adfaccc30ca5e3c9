// Checkpoints on the bus: bucket orch_checkpoints, `<sid>.<checkpoint>`. Their ids are one name space.

import { encodeValue } from "../base/codec.ts";
import { encodeRecord } from "../base/record.ts";
import { keys } from "../state/level-keys.ts";
import type { Checkpoint } from "../state/ports.ts";
import { streamOfBucket } from "./assets.ts";
import { encodeName } from "./names.ts";
import { dropLarge, readLarge, storeLarge, type Placed } from "./store-large.ts";
import type { StoredMessage } from "./store-message.ts";
import { assertOurs, CHECKPOINT_HEADER, decodeMap, SESSION_HEADER } from "./store-records.ts";
import type { SnapshotPorts } from "./store-snapshots.ts";

export class Checkpoints {
  readonly stream: string;
  readonly #ports: SnapshotPorts;

  constructor(ports: SnapshotPorts) {
    this.#ports = ports;
    this.stream = streamOfBucket(ports.names.buckets.checkpoints);
  }

  async save(checkpoint: Checkpoint): Promise<void> {
    const { sessionId, checkpointId } = checkpoint;
    const place = this.#place(sessionId, checkpointId);
    const before = await this.#find(checkpointId);
    await storeLarge(this.#ports, this.stream, {
      ...place,
      record: encodeRecord("checkpoint", encodeValue(checkpoint), place.key),
      headers: { [CHECKPOINT_HEADER]: encodeURIComponent(checkpointId) },
    });
    if (before !== null && before.subject !== place.subject) await this.#drop(before);
  }

  async get(checkpointId: string): Promise<Checkpoint | null> {
    const message = await this.#find(checkpointId);
    return message === null ? null : this.decode(message);
  }

  /** By position. */
  async list(sessionId: string): Promise<readonly Checkpoint[]> {
    const { streams } = this.#ports;
    const found = await streams.subjects(this.stream, this.#subject(encodeName(sessionId), "*"));
    const messages = await Promise.all([...found.keys()].map((subject) => streams.last(this.stream, subject)));
    const checkpoints = await Promise.all(
      messages.filter((one) => one !== null && isNamed(one)).map((one) => this.decode(one)),
    );
    return checkpoints.sort((a, b) => a.n - b.n || (a.checkpointId < b.checkpointId ? -1 : 1));
  }

  async drop(checkpointId: string): Promise<void> {
    const message = await this.#find(checkpointId);
    if (message !== null) await this.#drop(message);
  }

  /** Blobs go with the session. */
  async dropAll(sessionId: string): Promise<void> {
    await this.#ports.streams.purge(this.stream, this.#subject(encodeName(sessionId), "*"));
  }

  /** @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
  async decode(message: StoredMessage): Promise<Checkpoint> {
    assertOurs(message);
    const { key } = this.#placeOf(message);
    return decodeMap<Checkpoint>("checkpoint", await readLarge(this.#ports, message, key), key, "checkpointId");
  }

  #find(checkpointId: string): Promise<StoredMessage | null> {
    return this.#ports.streams.last(this.stream, this.#subject("*", encodeName(checkpointId)));
  }

  async #drop(message: StoredMessage): Promise<void> {
    await dropLarge(this.#ports, this.stream, { ...this.#placeOf(message), subject: message.subject });
  }

  #placeOf(message: StoredMessage): Pick<Placed, "subject" | "key" | "use"> {
    return this.#place(message.header(SESSION_HEADER), checkpointIn(message));
  }

  #place(sessionId: string, checkpointId: string): Pick<Placed, "subject" | "key" | "use"> {
    return {
      subject: this.#subject(encodeName(sessionId), encodeName(checkpointId)),
      key: keys.checkpoint(sessionId, checkpointId),
      use: { sessionId, use: `checkpoint ${checkpointId}` },
    };
  }

  #subject(sessionToken: string, checkpointToken: string): string {
    return `$KV.${this.#ports.names.buckets.checkpoints}.${sessionToken}.${checkpointToken}`;
  }
}

/** A message that is no checkpoint at all must not hide those beside it. */
function isNamed(message: StoredMessage): message is StoredMessage {
  return !message.isAnswer && message.header(CHECKPOINT_HEADER) !== "";
}

// A header that was changed is found out by the checksum, which is bound to what it says.
function checkpointIn(message: StoredMessage): string {
  try {
    return decodeURIComponent(message.header(CHECKPOINT_HEADER));
  } catch {
    return "";
  }
}
