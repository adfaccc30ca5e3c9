// What stands in the write-ahead files of a folder: all of it is checked before any of it is used.

import { basename } from "node:path";
import { OrchestraError } from "../base/errors.ts";
import type { AheadFiles } from "./ahead-ports.ts";
import { AHEAD_VERSION, decodeAhead, type AheadRecord } from "./ahead-format.ts";
import type { FileDamage } from "./file-damage.ts";
import { rescueFromAhead, type Rescued } from "./rescue.ts";

export interface AheadContents {
  readonly paths: readonly string[];
  /** Behind `moved`, in order. Without damage they are contiguous. */
  readonly records: readonly AheadRecord[];
  readonly damages: readonly FileDamage[];
  /** Out of damaged records. */
  readonly rescued: readonly Rescued[];
  /** Files that end in a record that was cut off. */
  readonly cutOff: readonly { readonly path: string; readonly offset: number }[];
}

/**
 * `moved`: the number of the last record the database has; `expected`: it says that there is a file.
 * @throws {OrchestraError} `ORCH_STORE_VERSION`
 */
export function readAhead(folder: string, files: AheadFiles, moved: number, expected: boolean): AheadContents {
  const damages: FileDamage[] = [];
  const cutOff: { path: string; offset: number }[] = [];
  const found = files.list(folder);
  if (expected && found.length === 0)
    damages.push({ file: "ahead-*.wal", offset: null, message: "it is missing", losesData: true });
  let records: (AheadRecord & { readonly file: string })[] = [];
  const begins: number[] = [];
  const rescued: Rescued[] = [];
  for (const { path } of found) {
    const file = basename(path);
    const bytes = files.read(path);
    const content = decodeAhead(bytes);
    if (content.type === "newer")
      throw new OrchestraError(
        "ORCH_STORE_VERSION",
        `write-ahead file ${path} has format ${content.version}; this program reads up to ${AHEAD_VERSION}`,
        { details: { path, version: content.version, supported: AHEAD_VERSION } },
      );
    if (content.type === "damaged") {
      const { offset, message, gaps } = content;
      const lost = Buffer.concat(gaps.map(([from, to]) => bytes.subarray(from, to)));
      const found = rescueFromAhead(lost);
      damages.push({ file, offset, message, bytes: lost, rescued: found.map(({ key }) => key), losesData: true });
      rescued.push(...found);
    } else if (content.end < bytes.length) cutOff.push({ path, offset: content.end });
    // A file stands in for records of the same number in an older one.
    const { first } = content;
    if (first !== null) begins.push(first);
    if (first !== null) records = records.filter(({ number }) => number < first);
    for (const record of content.records) records.push({ ...record, file });
  }
  records = records.filter(({ number }) => number > moved);
  let next = moved + 1;
  for (const { number, file, offset } of records) {
    if (number !== next && damages.length === 0)
      damages.push({ file, offset, message: `expected record ${next}, found ${number}`, losesData: true });
    next = number + 1;
  }
  const [oldest] = begins;
  if (damages.length === 0 && records.length === 0 && oldest !== undefined && oldest > next)
    damages.push({
      file: basename(found[0]?.path ?? ""),
      offset: 0,
      message: `expected record ${next}, found ${oldest}`,
      losesData: true,
    });
  return { paths: found.map(({ path }) => path), records, damages, rescued, cutOff };
}
