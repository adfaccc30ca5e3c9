// Control address
//
// Where the process that has a store open can be spoken to. `orchestra.control` in the store's folder says it; the socket
// itself lies elsewhere, in a folder of its own that only this user may enter: paths of sockets are short by law of
// the system (about 100 bytes), not every file system can hold one, and one left in a store would trip who copies it.
//
// A1  The file is written only by who holds the folder open, so one that is found by the next holder is stale.
// A2  Whoever can read the file may speak: it is for its owner alone (0600) and holds the token.

import { mkdtemp, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { z } from "zod";

import { OrchestraError } from "../index.ts";

const FILE = "orchestra.control";
const SOCKET = "control.sock";
const SOCKET_FOLDER = "orchestra-";
/** `sun_path` is 104 bytes on macOS, 108 on Linux, with its end. */
const PATH_BYTES_MAX = 103;

const addressSchema = z.object({ v: z.literal(1), pid: z.int(), path: z.string(), token: z.string() });

export type ControlAddress = z.infer<typeof addressSchema>;

/** A path nobody else listens at. `name` is unique. @throws {OrchestraError} `ORCH_CONTROL` where none is short enough. */
export async function newSocketPath(name: string): Promise<string> {
  if (process.platform === "win32") return `\\\\.\\pipe\\orchestra-${name}`;
  // 0700 by definition of mkdtemp.
  const folder = await mkdtemp(join(tmpdir(), SOCKET_FOLDER));
  const path = join(folder, SOCKET);
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return path;
  await rmdir(folder);
  throw new OrchestraError(
    "ORCH_CONTROL",
    `the path of a socket may have ${PATH_BYTES_MAX} bytes, and ${path} has more; set TMPDIR to a shorter folder`,
    { details: { path } },
  );
}

export async function writeAddress(folder: string, address: ControlAddress): Promise<void> {
  const file = join(folder, FILE);
  await writeFile(`${file}.part`, `${JSON.stringify(address)}\n`, { mode: 0o600 });
  await rename(`${file}.part`, file);
}

/** Null where there is none, or none that can be read. */
export async function readAddress(folder: string): Promise<ControlAddress | null> {
  try {
    return addressSchema.parse(JSON.parse(await readFile(join(folder, FILE), "utf8")));
  } catch {
    return null;
  }
}

export async function removeAddress(folder: string): Promise<void> {
  await rm(join(folder, FILE), { force: true });
}

/** The socket with its folder; only such as `newSocketPath` makes. */
export async function removeSocket(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = dirname(path);
  if (basename(path) !== SOCKET || !basename(folder).startsWith(SOCKET_FOLDER)) return;
  await rm(path, { force: true }).catch(() => undefined);
  await rmdir(folder).catch(() => undefined);
}
