// What `orchestra/memory` offers.

export type {
  ArtifactScores,
  EmbedOptions,
  Embedder,
  HarvestOptions,
  HarvestReceipt,
  Memory,
  MemoryArtifact,
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
