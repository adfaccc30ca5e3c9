// What `orchestra/memory` offers.

export { createMemory, DEFAULT_MEMORY_OPTIONS } from "./create-memory.ts";
export type { MemoryOptions } from "./create-memory.ts";
export { ngramEmbedder } from "./ngram-embedder.ts";
export type {
  ArtifactScores,
  EmbedOptions,
  Embedder,
  HarvestOptions,
  HarvestReceipt,
  Memory,
  MemoryArtifact,
  MemoryContents,
  MemoryEntry,
  MemoryInput,
  MemoryOfSteps,
  MemoryOrigin,
  MemoryProvenance,
  MemoryScope,
  MemorySearchOptions,
  MemorySearchResult,
  MemoryStats,
  MemoryStep,
  StepMemory,
} from "./ports.ts";
