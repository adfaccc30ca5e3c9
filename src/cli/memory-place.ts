// Memory place: which memory a command is about, opened for as long as the command takes.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

import { isOrchestraError } from "../index.ts";
import { createMemory, type Memory, type MemoryScope } from "../memory/index.ts";
import { UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { loadFile } from "./load-file.ts";
import { untilFree } from "./store-access.ts";

export interface MemoryFlags {
  readonly memory?: string;
  readonly file?: string;
  readonly json?: boolean;
}

export interface ScopeFlags {
  readonly run?: string;
  readonly session?: string;
  readonly project?: string;
  readonly global?: boolean;
}

/**
 * Acts on the memory of FILE's orchestrator, or of the folder that `--memory` or ORCHESTRA_MEMORY names.
 *
 * @throws {UsageError} when none is named, or the folder holds none: looking makes no folder.
 * @throws {OrchestraError} `ORCH_STORE_LOCKED` when another process has it.
 */
export async function withMemory<T>(flags: MemoryFlags, io: Io, act: (memory: Memory) => Promise<T>): Promise<T> {
  await using memory = await memoryOf(flags, io);
  try {
    await untilFree(() => memory.stats());
    return await act(memory);
  } catch (error) {
    if (flags.file !== undefined && isOrchestraError(error, "ORCH_MEMORY_EMBEDDER"))
      io.err(`make all vectors anew with: orchestra orchestrate memory reembed --file ${flags.file}`);
    throw error;
  }
}

async function memoryOf({ memory: named, file }: MemoryFlags, io: Io): Promise<Memory> {
  if (named !== undefined && file !== undefined)
    throw new UsageError("--memory and --file: it is the memory of one or of the other");
  if (file !== undefined) {
    const { orchestrator } = await loadFile(file, io.cwd);
    if (orchestrator?.memory === undefined)
      throw new UsageError(
        `${file}: expected an export "orchestrator" with a memory: { memory: createMemory({ folder }) }`,
      );
    return orchestrator.memory;
  }
  const folder = named ?? io.env["ORCHESTRA_MEMORY"] ?? "";
  if (folder === "")
    throw new UsageError(
      "which memory? Name its folder with --memory DIR or in ORCHESTRA_MEMORY, or with --file FILE the file whose orchestrator has it",
    );
  const full = resolve(io.cwd, folder);
  if (!existsSync(join(full, "entries"))) throw new UsageError(`there is no memory in ${full}`);
  return createMemory({ folder: full });
}

/** The one that is named, or null. @throws {UsageError} when several are. */
export function scopeNamed({ run, session, project, global }: ScopeFlags): MemoryScope | null {
  const named: MemoryScope[] = [
    ...(run === undefined ? [] : [{ runId: run }]),
    ...(session === undefined ? [] : [{ sessionId: session }]),
    ...(project === undefined ? [] : [{ project }]),
    ...(global === true ? (["global"] as const) : []),
  ];
  const [scope, another] = named;
  if (another !== undefined)
    throw new UsageError("--run, --session, --project and --global: entries are looked for in one of them");
  return scope ?? null;
}

/** @throws {UsageError} unless exactly one is named. */
export function requiredScope(flags: ScopeFlags): MemoryScope {
  const scope = scopeNamed(flags);
  if (scope === null) throw new UsageError("where? Name one of --run ID, --session ID, --project NAME and --global");
  return scope;
}
