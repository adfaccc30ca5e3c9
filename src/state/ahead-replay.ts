// What a process left behind in write-ahead files is played into the database before it is used. Numbers of rules are
// those of write-ahead.ts, as are the records by which the database says how far it has come.

import { decodeValue, encodeValue } from "../base/codec.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { decodeRecord, encodeRecord } from "../base/record.ts";
import type { AheadFiles } from "./ahead-ports.ts";
import { readAhead } from "./ahead-read.ts";
import { damagedFolder } from "./damaged-folder.ts";
import type { KeyValue, WriteOp } from "./key-value.ts";
import { AHEAD_FILE_KEY, AHEAD_KEY, APART_KEY } from "./level-keys.ts";

export const MOVE_BYTES = 256 * 1024;

/** B9 */
export const MARK: WriteOp = {
  type: "put",
  key: AHEAD_FILE_KEY,
  value: encodeRecord("ahead", encodeValue(true), AHEAD_FILE_KEY),
};
export const UNMARK: WriteOp = { type: "del", key: AHEAD_FILE_KEY };

export function progress(number: number): WriteOp {
  return { type: "put", key: AHEAD_KEY, value: encodeRecord("ahead", encodeValue(number), AHEAD_KEY) };
}

/** B10. Says in the database which keys stand there apart; none of them is no record. */
export function apart(keys: readonly string[]): WriteOp {
  if (keys.length === 0) return { type: "del", key: APART_KEY };
  return { type: "put", key: APART_KEY, value: encodeRecord("ahead", encodeValue(keys), APART_KEY) };
}

/** What `apart` said. */
export function apartIn(record: Uint8Array | undefined): readonly string[] {
  const keys = record === undefined ? [] : decodeValue(decodeRecord("ahead", record, APART_KEY));
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string"))
    throw new OrchestraError("ORCH_STORE_CORRUPT", `record ${APART_KEY}: it is no list of keys`);
  return keys;
}

/** B2, B7. The number of the last record in the database. */
export async function replay(folder: string, database: KeyValue, logger: Logger, files: AheadFiles): Promise<number> {
  const stored = await database.get(AHEAD_KEY);
  const moved = stored === undefined ? 0 : decodeValue(decodeRecord("ahead", stored, AHEAD_KEY));
  if (typeof moved !== "number")
    throw new OrchestraError("ORCH_STORE_CORRUPT", `store ${folder}: record ${AHEAD_KEY} is no number`);
  const marked = (await database.get(AHEAD_FILE_KEY)) !== undefined;
  const { paths, records, damages, cutOff } = readAhead(folder, files, moved, marked);
  for (const damage of damages) throw damagedFolder(folder, damage);
  for (const where of cutOff) logger.warn(where, "a write-ahead file ends in a record that was cut off");
  let batch: WriteOp[] = [];
  let bytes = 0;
  for (const [i, { number, ops }] of records.entries()) {
    for (const op of ops) {
      batch.push(op);
      bytes += op.type === "put" ? op.value.byteLength : 0;
    }
    if (bytes < MOVE_BYTES && i < records.length - 1) continue;
    // B5
    await database.write([...batch, progress(number)], true);
    batch = [];
    bytes = 0;
  }
  // B10: their batches do not count.
  const lost = apartIn(await database.get(APART_KEY));
  if (lost.length > 0) await database.write([...lost.map((key): WriteOp => ({ type: "del", key })), apart([])], true);
  // B9
  if (marked) await database.write([UNMARK], true);
  for (const path of paths) files.remove(path);
  return records.at(-1)?.number ?? moved;
}
