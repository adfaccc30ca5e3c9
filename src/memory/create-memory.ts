// What a memory is made of, and what it is unless said.

import { systemClock, type Clock } from "../base/clock.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import { systemRandom, type Random } from "../base/random.ts";
import { assertOptions, check, countFrom0, having, object, text } from "../runtime/option-schema.ts";
import { ngramEmbedder } from "./ngram-embedder.ts";
import { OpenMemory } from "./open-memory.ts";
import type { Embedder, Memory } from "./ports.ts";
import { folderStorage, volatileStorage } from "./storage.ts";

export interface MemoryOptions {
  /** Where entries are kept. One process at a time, one memory per folder. Default: in this process, until it ends. */
  readonly folder?: string;
  /** Default: `ngramEmbedder()`, which knows words but no meaning. */
  readonly embedder?: Embedder;
  /** Searches that concern more entries than this use an approximate index where `hnswlib-node` is installed. Default 5,000. */
  readonly exactUpTo?: number;
  /** Entries whose vectors are held, over all scopes searched; the scope in use is held whatever its size. Default 250,000: 400 MB at 384 dimensions. */
  readonly residentEntries?: number;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
}
export const DEFAULT_MEMORY_OPTIONS = Object.freeze({ exactUpTo: 5_000, residentEntries: 250_000 });

const optionsSchema = object({
  folder: text,
  embedder: having("an embedder: { name, dimensions, embed }", "embed"),
  exactUpTo: countFrom0,
  residentEntries: countFrom0,
  logger: having("a logger", "info"),
  clock: having("a clock", "nowMs"),
  random: having("a source of chance", "next"),
});
const embedderSchema = object({
  name: text,
  dimensions: check(
    (value) => value === null || (Number.isInteger(value) && Number(value) > 0),
    "a whole number from 1, or null",
  ),
});

/** Opens nothing until it is used. @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function createMemory(options: MemoryOptions = {}): Memory {
  assertOptions(optionsSchema, options);
  const {
    folder,
    embedder = ngramEmbedder(),
    clock = systemClock(),
    random = systemRandom(),
    logger = silentLogger,
  } = options;
  assertOptions(embedderSchema, { name: embedder.name, dimensions: embedder.dimensions }, "embedder");
  return new OpenMemory({
    storage: folder === undefined ? volatileStorage() : folderStorage(folder),
    embedder,
    exactUpTo: options.exactUpTo ?? DEFAULT_MEMORY_OPTIONS.exactUpTo,
    residentEntries: options.residentEntries ?? DEFAULT_MEMORY_OPTIONS.residentEntries,
    logger,
    clock,
    random,
  });
}
