// Run memory: what runs are given to remember, what they recall of earlier ones, and what is kept of them.

import { OrchestraError } from "../base/errors.ts";
import type {
  ArtifactScores,
  HarvestOptions,
  HarvestReceipt,
  Memory,
  MemoryArtifact,
  MemoryEntry,
  MemoryInput,
  MemoryScope,
  MemorySearchResult,
} from "../memory/ports.ts";
import type { MemoryKey } from "./run-events.ts";
import type { RunProvenance, RunSpec, SeededEntry } from "./run-spec.ts";

/** Where the run stands, as far as memory asks. */
export type RunStage = "unknown" | "going" | "ended";

export interface RunMemoryPorts {
  readonly memory: Memory;
  stageOf(runId: string): Promise<RunStage>;
  /** What the run was started with. */
  provenanceOf(runId: string): Promise<RunProvenance>;
}

export class RunMemory {
  readonly #ports: RunMemoryPorts;

  constructor(ports: RunMemoryPorts) {
    this.#ports = ports;
  }

  /** @throws {OrchestraError} `ORCH_SESSION_STATE` once the run has begun. */
  async seed(runId: string, entries: readonly MemoryInput[]): Promise<readonly MemoryEntry[]> {
    const { memory, stageOf } = this.#ports;
    if ((await stageOf(runId)) !== "unknown")
      throw stateError(runId, "has begun; its memory is seeded before: recordLearning adds to it now");
    return memory.seedMemory(runId, entries);
  }

  /** What the run begins with: `spec` with what was seeded before, and what it recalls. */
  async begin(runId: string, spec: RunSpec, recall: number): Promise<RunSpec> {
    const { memory } = this.#ports;
    const { provenance } = spec;
    if (spec.seeds.length > 0) await memory.seedMemory(runId, spec.seeds, { provenance });
    const seeds: SeededEntry[] = [];
    for await (const entry of memory.list({ runId })) if (entry.origin === "seeded") seeds.push(seedOf(entry));
    if (recall === 0) return { ...spec, seeds };
    const scope: MemoryScope = provenance.project === undefined ? "global" : { project: provenance.project };
    const found = await memory.searchMemory(spec.description, scope, recall);
    return { ...spec, seeds, recalled: found.map(seedOf) };
  }

  async learned(runId: string): Promise<readonly MemoryKey[]> {
    const keys: MemoryKey[] = [];
    for await (const { origin, key, namespace } of this.#ports.memory.list({ runId }))
      if (origin === "learned") keys.push({ key, namespace });
    return keys;
  }

  /** The two orders in which callers know the arguments. */
  async search(
    first: string | MemoryScope,
    second: string | MemoryScope,
    topK?: number,
  ): Promise<readonly MemorySearchResult[]> {
    // "global" is a scope; it may be what is searched for, too, where the other one is no scope.
    const isScopeFirst =
      typeof first !== "string" || (first === "global" && typeof second === "string" && second !== "global");
    const [query, scope] = isScopeFirst ? [second, first] : [first, second];
    if (typeof query !== "string" || (typeof scope === "string" && scope !== "global"))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        'searchMemory: expected a query and a scope ("global", { runId }, { sessionId } or { project })',
      );
    return this.#ports.memory.searchMemory(query, scope, topK);
  }

  /** @throws {OrchestraError} `ORCH_SESSION_UNKNOWN` */
  async learn(
    runId: string,
    learning: string | MemoryInput,
    score?: number,
    provenance?: RunProvenance,
  ): Promise<MemoryEntry> {
    const { memory, stageOf, provenanceOf } = this.#ports;
    if ((await stageOf(runId)) === "unknown") throw unknownRun(runId);
    return memory.recordLearning(runId, learning, score, { ...(await provenanceOf(runId)), runId, ...provenance });
  }

  /** @throws {OrchestraError} `ORCH_SESSION_UNKNOWN`, `ORCH_SESSION_STATE` before the run has ended, `ORCH_MEMORY_PROVENANCE` */
  async harvest(
    runId: string,
    artifacts: readonly MemoryArtifact[],
    scores: ArtifactScores,
    { provenance, ...options }: HarvestOptions,
  ): Promise<HarvestReceipt> {
    const { memory, stageOf, provenanceOf } = this.#ports;
    const stage = await stageOf(runId);
    if (stage === "unknown") throw unknownRun(runId);
    if (stage === "going") throw stateError(runId, "has not ended; what it came to is harvested then");
    const own = await provenanceOf(runId);
    return memory.harvestMemory(runId, artifacts, scores, { ...options, provenance: { ...own, ...provenance } });
  }
}

function seedOf({ key, value, namespace, metadata, ...entry }: MemoryEntry | MemorySearchResult): SeededEntry {
  const { origin, provenance, quality } = entry;
  if (origin === "seeded") return { key, value, namespace, metadata };
  const score = "score" in entry ? entry.score : null;
  return { key, value, namespace, metadata: { ...metadata, provenance, quality, score } };
}

export function unknownRun(runId: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_UNKNOWN", `no run "${runId}"`, { details: { sessionId: runId } });
}

function stateError(runId: string, what: string): OrchestraError {
  return new OrchestraError("ORCH_SESSION_STATE", `run "${runId}" ${what}`, { details: { sessionId: runId } });
}
