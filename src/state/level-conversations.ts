// Level conversations
//
// Owns:      a folder of conversations that outlive their sessions: lists of entries, each put once under a key.
// Does not:  know what is said in them, or LevelDB (level-folder.ts).
//
//   m/<conversation>/<position>   entry: its key and messages
//   x/<conversation>/<key>        position of the entry put under that key
//
// P1  An entry and its key are written in one batch: after a crash both are there or neither.
// P2  Puts to one conversation follow one another, so that no position is given twice.

import { decodeValue, encodeValue } from "../base/codec.ts";
import { OrchestraError } from "../base/errors.ts";
import { decodeRecord, encodeRecord } from "../base/record.ts";
import { Turns } from "../base/turns.ts";
import type { KeyValue } from "./key-value.ts";
import { openLevelFolder, prepareFolder } from "./level-folder.ts";
import { corrupt } from "./level-records.ts";

/** Entries read at a time. */
const PAGE = 16;

/**
 * Keeps the conversations of agents whose memory is `persistent`. One process at a time, one object per folder; the folder
 * is none of a `LevelStorage`. What is put is on disk before it resolves. Opens nothing before it is used.
 */
export class LevelConversations {
  readonly #folder: string;
  readonly #turns = new Turns();
  #opening: Promise<KeyValue> | null = null;
  #closing: Promise<void> | null = null;

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(folder: string) {
    if (typeof folder !== "string" || folder === "")
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `LevelConversations: expected the path of a folder, got ${JSON.stringify(folder)}`,
      );
    this.#folder = folder;
  }

  /** Position of the newest entry, 0 when there is none. */
  async last(conversation: string): Promise<number> {
    return lastOf(await this.#open(), conversation);
  }

  /** Entries up to and including `upTo`, newest first. @throws {OrchestraError} `ORCH_STORE_CORRUPT` */
  async *read(
    conversation: string,
    upTo: number,
  ): AsyncIterable<{ readonly position: number; readonly messages: readonly unknown[] }> {
    const kv = await this.#open();
    const [from] = rangeOf(conversation);
    for (let to = entryKey(conversation, upTo + 1); ;) {
      const page = await kv.range(from, to, { limit: PAGE, reverse: true });
      for (const [key, record] of page) yield { position: positionOf(key), messages: decodeEntry(record, key) };
      const oldest = page.at(-1);
      if (oldest === undefined || page.length < PAGE) return;
      [to] = oldest;
    }
  }

  /** An entry put before under the same `key` keeps its position and gets these messages. @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE` */
  async put(conversation: string, key: string, messages: readonly unknown[]): Promise<void> {
    const kv = await this.#open();
    await this.#turns.take(conversation, async () => {
      const index = keyOf(conversation, key);
      const known = await kv.get(index);
      const position = known === undefined ? (await lastOf(kv, conversation)) + 1 : decodePosition(known, index);
      const entry = entryKey(conversation, position);
      await kv.write(
        [
          { type: "put", key: entry, value: encodeRecord("message", encodeValue(messages), entry) },
          { type: "put", key: index, value: encodeRecord("reference", encodeValue(position), index) },
        ],
        true,
      );
    });
  }

  /** Forgets the whole conversation. */
  async delete(conversation: string): Promise<void> {
    const kv = await this.#open();
    await this.#turns.take(conversation, async () => {
      const name = nameOf(conversation);
      const keys = [...(await kv.keys(...rangeOf(conversation))), ...(await kv.keys(`x/${name}/`, `x/${name}0`))];
      await kv.write(
        keys.map((key) => ({ type: "del", key })),
        true,
      );
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const kv = await this.#opening?.catch(() => null);
    await this.#turns.idle();
    await kv?.close();
  }

  #open(): Promise<KeyValue> {
    if (this.#closing !== null)
      return Promise.reject(new OrchestraError("ORCH_CLOSED", `the conversations in ${this.#folder} are closed`));
    this.#opening ??= prepareFolder(this.#folder)
      .then(openLevelFolder)
      .catch((error: unknown) => {
        this.#opening = null;
        throw error;
      });
    return this.#opening;
  }
}

function entryKey(conversation: string, position: number): string {
  return `m/${nameOf(conversation)}/${String(position).padStart(12, "0")}`;
}

function keyOf(conversation: string, key: string): string {
  return `x/${nameOf(conversation)}/${key}`;
}

function nameOf(conversation: string): string {
  try {
    if (typeof conversation === "string" && conversation !== "") return encodeURIComponent(conversation);
  } catch {
    // Half a character, which has no bytes.
  }
  throw new OrchestraError("ORCH_BAD_OPTION", "conversation: expected its name, a non-empty text");
}

/** `0` is the character after `/`. */
function rangeOf(conversation: string): readonly [string, string] {
  const name = nameOf(conversation);
  return [`m/${name}/`, `m/${name}0`];
}

function positionOf(key: string): number {
  return Number(key.slice(key.lastIndexOf("/") + 1));
}

async function lastOf(kv: KeyValue, conversation: string): Promise<number> {
  const [newest] = await kv.range(...rangeOf(conversation), { limit: 1, reverse: true });
  return newest === undefined ? 0 : positionOf(newest[0]);
}

function decodeEntry(record: Uint8Array, key: string): readonly unknown[] {
  const messages = decodeValue(decodeRecord("message", record, key));
  if (!Array.isArray(messages)) throw corrupt(key, "it is no list of messages");
  return messages;
}

function decodePosition(record: Uint8Array, key: string): number {
  const position = decodeValue(decodeRecord("reference", record, key));
  if (typeof position !== "number") throw corrupt(key, "it is no position");
  return position;
}
