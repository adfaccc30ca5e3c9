// `orchestrate memory search`, `list`, `stats`, `delete`, `reembed` and `seed`: a memory looked into and kept in order.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

import type { Memory, MemoryEntry, MemoryInput, MemorySearchOptions } from "../memory/index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { json } from "./json.ts";
import { entryLine, foundLines, scopeText, statsLines } from "./memory-lines.ts";
import { requiredScope, scopeNamed, withMemory, type MemoryFlags, type ScopeFlags } from "./memory-place.ts";
import { orchestratorOf, type OrchestrateFlags } from "./orchestrate-start.ts";
import { loadParts, readAll } from "./session-options.ts";

interface SearchFlags extends MemoryFlags, ScopeFlags {
  readonly namespace?: readonly string[];
  readonly tag?: readonly string[];
  readonly top?: number;
  readonly minQuality?: number;
  readonly mode?: NonNullable<MemorySearchOptions["mode"]>;
  readonly diversity?: number;
}

export async function searchMemoryCommand(query: string, flags: SearchFlags, io: Io): Promise<number> {
  const { namespace, tag, top, minQuality, mode, diversity } = flags;
  const scope = requiredScope(flags);
  return withMemory(flags, io, async (memory) => {
    const found = await memory.search(query, {
      scope,
      ...(namespace !== undefined && { namespace }),
      ...(tag !== undefined && { tags: tag }),
      ...(top !== undefined && { topK: top }),
      ...(minQuality !== undefined && { minQuality }),
      ...(mode !== undefined && { mode }),
      ...(diversity !== undefined && { diversity }),
    });
    if (flags.json) io.out(json(found));
    else if (found.length === 0) io.err(`nothing in ${scopeText(scope)}`);
    else io.out(found.map((one, i) => foundLines(one, i + 1)).join("\n"));
    return EXIT.ok;
  });
}

const ENTRIES_SHOWN = 100;

export async function listMemoryCommand(
  flags: MemoryFlags & ScopeFlags & { readonly namespace?: readonly string[]; readonly limit?: number },
  io: Io,
): Promise<number> {
  const { namespace, limit = ENTRIES_SHOWN } = flags;
  const scope = scopeNamed(flags);
  return withMemory(flags, io, async (memory) => {
    const within = namespace === undefined ? {} : { namespace };
    const entries: MemoryEntry[] = [];
    let more = false;
    for await (const entry of scope === null ? everything(memory, within) : memory.list(scope, within)) {
      if ((more = entries.length === limit)) break;
      entries.push(entry);
    }
    if (flags.json) io.out(json(entries));
    else if (entries.length === 0) io.err("no entries");
    else io.out(entries.map(entryLine).join("\n"));
    if (more) io.err(`only the first ${limit} are shown; --limit N shows more`);
    return EXIT.ok;
  });
}

/** Scope by scope, each entry where it is kept. */
async function* everything(
  memory: Memory,
  within: { readonly namespace?: readonly string[] },
): AsyncIterable<MemoryEntry> {
  for (const { scope } of await memory.contents())
    for await (const entry of memory.list(scope, within)) if (scopeText(entry.scope) === scopeText(scope)) yield entry;
}

export async function memoryStatsCommand(flags: MemoryFlags, io: Io): Promise<number> {
  return withMemory(flags, io, async (memory) => {
    const [stats, contents] = [await memory.stats(), await memory.contents()];
    const { entries, bytes, embedder, dimensions } = stats;
    if (flags.json) io.out(json({ entries, bytes, embedder, dimensions, contents }));
    else io.out(statsLines(stats, contents));
    return EXIT.ok;
  });
}

export async function deleteMemoryCommand(
  ids: readonly string[],
  flags: MemoryFlags & ScopeFlags & { readonly namespace?: string; readonly yes?: boolean },
  io: Io,
): Promise<number> {
  const { namespace, yes } = flags;
  const scope = scopeNamed(flags);
  if (ids.length > 0 && (scope !== null || namespace !== undefined))
    throw new UsageError("entries are deleted by their ids, or by their scope");
  if (ids.length === 0 && scope === null)
    throw new UsageError("which? Name ids of entries, or one of --run ID, --session ID, --project NAME and --global");
  if (scope !== null && yes !== true)
    throw new UsageError(`that deletes all of ${scopeText(scope)} for good; say so with --yes`);
  return withMemory(flags, io, async (memory) => {
    const within = namespace === undefined ? {} : { namespace };
    const deleted = scope === null ? await memory.delete(ids) : await memory.deleteScope(scope, within);
    const wanted = new Set(ids).size;
    if (flags.json) io.out(json({ deleted }));
    else io.out(`deleted ${deleted}${deleted < wanted ? ` of ${wanted}; there are no others` : ""}`);
    return deleted < wanted ? EXIT.failed : EXIT.ok;
  });
}

/** Entries between two lines of progress. */
const PROGRESS_STEP = 1_000;

export async function reembedMemoryCommand(flags: MemoryFlags & { readonly quiet?: boolean }, io: Io): Promise<number> {
  return withMemory(flags, io, async (memory) => {
    const before = await memory.stats();
    const count = await memory.reembed({
      onProgress: (done, total) => {
        if (flags.quiet !== true && done % PROGRESS_STEP === 0) io.err(`${done} of ${total}`);
      },
    });
    const { embedder, dimensions } = await memory.stats();
    if (flags.json) io.out(json({ entries: count, embedder, dimensions, embedderBefore: before.embedder }));
    else io.out(`made ${count} vectors anew by ${embedder} (${dimensions} dimensions); before: ${before.embedder}`);
    return EXIT.ok;
  });
}

interface SeedFlags extends OrchestrateFlags {
  readonly file: string;
  readonly namespace?: string;
}

export async function seedMemoryCommand(
  runId: string,
  given: readonly string[],
  flags: SeedFlags,
  io: Io,
): Promise<number> {
  const entries: readonly MemoryInput[] = (
    await Promise.all(given.map((one) => seedsOf(one, flags.namespace, io)))
  ).flat();
  const { orchestrator, close } = await orchestratorOf(await loadParts(flags.file, flags, io), flags, io);
  try {
    const kept = await orchestrator.seedMemory(runId, entries);
    if (flags.json) io.out(json(kept));
    else io.out(`run ${runId} is to know ${kept.length} ${kept.length === 1 ? "entry" : "entries"}`);
    return EXIT.ok;
  } finally {
    await close();
  }
}

async function seedsOf(given: string, namespace: string | undefined, io: Io): Promise<readonly MemoryInput[]> {
  const within = namespace === undefined ? {} : { namespace };
  if (given !== "-" && !given.startsWith("@")) return [{ value: given, ...within }];
  const text = given === "-" ? await readAll(io.stdin) : await readSeeds(given.slice(1), io);
  const entries: unknown = parsed(given, text);
  if (!Array.isArray(entries)) throw new UsageError(`${given}: expected a JSON array of entries: [{ "value": … }]`);
  return entries.map((entry: MemoryInput) => ({ ...within, ...entry }));
}

function parsed(given: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${given}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

async function readSeeds(path: string, io: Io): Promise<string> {
  try {
    return await readFile(resolve(io.cwd, path), "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
