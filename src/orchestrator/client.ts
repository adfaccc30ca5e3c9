// Orchestration client: the orchestrator under the names by which callers of older systems know it.

import type { ErrorData } from "../base/errors.ts";
import type {
  ArtifactScores,
  HarvestOptions,
  HarvestReceipt,
  MemoryArtifact,
  MemoryInput,
  MemoryScope,
} from "../memory/ports.ts";
import type { MemoryEntry, MemorySearchResult } from "../memory/ports.ts";
import type { Commit } from "./git-history.ts";
import { createOrchestrator, type CancelAnswer, type Orchestrator, type RunHandle } from "./orchestrator.ts";
import type { OrchestratorConfig } from "./orchestrator-config.ts";
import type { StartRunInput } from "./run-input.ts";
import { clientStatusOf, type ClientStatus, type RunStatus } from "./run-status.ts";

export interface ClientRunStatus {
  readonly runId: string;
  readonly status: ClientStatus;
  /** 0 to 100. */
  readonly progress: number;
  readonly finished: boolean;
  readonly error?: ErrorData;
  /** For people: how it ended, or what it waits for. */
  readonly summary?: string;
  readonly commits?: readonly Commit[];
}

export interface OrchestrationClient extends AsyncDisposable {
  readonly orchestrator: Orchestrator;
  startRun(input: StartRunInput): RunHandle;
  getStatus(runId: string): Promise<ClientRunStatus>;
  cancel(runId: string, reason?: string): Promise<CancelAnswer>;
  seed(runId: string, entries: readonly MemoryInput[]): Promise<readonly MemoryEntry[]>;
  search(query: string, scope: MemoryScope, topK?: number): Promise<readonly MemorySearchResult[]>;
  harvest(
    runId: string,
    artifacts?: readonly MemoryArtifact[],
    scores?: ArtifactScores,
    options?: HarvestOptions,
  ): Promise<HarvestReceipt>;
  close(): Promise<void>;
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function createOrchestrationClient({ config }: { readonly config: OrchestratorConfig }): OrchestrationClient {
  const orchestrator = createOrchestrator(config);
  const close = (): Promise<void> => orchestrator.close();
  return {
    orchestrator,
    startRun: (input) => orchestrator.startRun(input),
    getStatus: async (runId) => {
      const [status, { commits }] = await Promise.all([
        orchestrator.getRunStatus(runId),
        orchestrator.getRunArtifacts(runId),
      ]);
      return clientRunStatus(runId, status, commits);
    },
    cancel: (runId, reason) => orchestrator.cancelRun(runId, reason),
    seed: (runId, entries) => orchestrator.seedMemory(runId, entries),
    search: (query, scope, topK) => orchestrator.searchMemory(query, scope, topK),
    harvest: (runId, artifacts, scores, options) => orchestrator.harvestMemory(runId, artifacts, scores, options),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function clientRunStatus(runId: string, status: RunStatus, commits: readonly Commit[]): ClientRunStatus {
  const { phase, progress, finished, error } = status;
  const summary = summaryOf(status);
  return {
    runId,
    status: clientStatusOf(phase),
    progress,
    finished,
    ...(error !== undefined && { error }),
    ...(summary !== undefined && { summary }),
    ...(commits.length > 0 && { commits }),
  };
}

function summaryOf({ reason, budget, iteration, waiting }: RunStatus): string | undefined {
  if (reason === undefined) return waiting;
  const after = `after ${iteration} ${iteration === 1 ? "iteration" : "iterations"}`;
  return budget === undefined ? `${reason} ${after}` : `${reason} (${budget}) ${after}`;
}
