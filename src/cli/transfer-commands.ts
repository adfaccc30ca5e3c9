// `export`, `import`, `move`: a session carried from one store to another, as a file or directly.

import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import { LevelStorage, StateManager } from "../index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { json } from "./json.ts";
import { loadNats, requiredNats, type NatsFlags } from "./nats-options.ts";
import { assertStoreExists, requiredFolder, type StoreFlags } from "./session-options.ts";
import { knownSession, untilFree, withStore } from "./store-access.ts";

export async function exportCommand(
  sessionId: string,
  file: string | undefined,
  flags: StoreFlags & { json?: boolean; force?: boolean },
  io: Io,
): Promise<number> {
  // Some systems do not take a colon in a file's name.
  const target = resolve(io.cwd, file ?? `${sessionId.replaceAll(":", "_")}.orchestra`);
  if (!flags.force && (await exists(target))) throw new UsageError(`${target} exists; --force writes over it`);
  return withStore(flags, io, async (store) => {
    await knownSession(store, sessionId);
    let bytes = 0;
    const pieces = async function* (): AsyncGenerator<Buffer> {
      for await (const piece of store.operations.export({ sessionId }, new AbortController().signal)) {
        const part = Buffer.from(piece, "base64");
        bytes += part.length;
        yield part;
      }
    };
    await writeWhole(target, pieces());
    io.out(flags.json ? json({ sessionId, file: target, bytes }) : `${target} (${bytes} bytes)`);
    return EXIT.ok;
  });
}

/** Written beside its place and moved there, so that a file of that name is always whole. */
async function writeWhole(target: string, pieces: AsyncIterable<Buffer>): Promise<void> {
  const part = `${target}.part`;
  try {
    await mkdir(dirname(target), { recursive: true });
    const handle = await open(part, "w", 0o600);
    try {
      for await (const piece of pieces) await handle.write(piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, target);
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    if (isSystemError(error)) throw new UsageError(`cannot write ${target}: ${error.message}`, { cause: error });
    throw error;
  }
}

export async function importCommand(
  file: string,
  flags: StoreFlags & { json?: boolean; as?: string },
  io: Io,
): Promise<number> {
  const folder = requiredFolder(flags, io);
  const source = resolve(io.cwd, file);
  const bytes = await readFile(source).catch((error: Error) => {
    throw new UsageError(`cannot read ${source}: ${error.message}`, { cause: error });
  });
  const stateManager = new StateManager({ storage: new LevelStorage(folder) });
  const sessionId = await untilFree(() =>
    stateManager.importSession(bytes, flags.as === undefined ? {} : { as: flags.as }),
  );
  io.out(flags.json ? json({ sessionId, file: source }) : sessionId);
  return EXIT.ok;
}

export type MoveTarget = "bus" | "folder";

/** Between the folder of `--store` and the bus of `--servers`. */
export async function moveCommand(
  sessionId: string,
  flags: StoreFlags & NatsFlags & { to: MoveTarget; json?: boolean },
  io: Io,
): Promise<number> {
  const folder = requiredFolder(flags, io);
  const { natsBus } = await loadNats();
  const bus = natsBus(requiredNats(flags, io));
  try {
    const local = new StateManager({ storage: new LevelStorage(folder) });
    const shared = new StateManager({ storage: bus.sessions });
    if (flags.to === "bus") assertStoreExists(folder);
    const [from, to] = flags.to === "bus" ? [local, shared] : [shared, local];
    const sessions = await untilFree(() => from.moveSession(sessionId, to));
    io.out(flags.json ? json({ sessionId, to: flags.to, sessions }) : sessionId);
    return EXIT.ok;
  } finally {
    await bus.close();
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
