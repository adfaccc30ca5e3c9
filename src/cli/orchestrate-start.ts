// `orchestrate start` and `resume`: a run that loops until its checks pass, followed to its end or to the signal that ends the process.

import { LevelStorage, StateManager } from "../index.ts";
import {
  createOrchestrator,
  type LoopPolicy,
  type Orchestrator,
  type OrchestratorConfig,
  type OrchestratorEvent,
  type StartRunInput,
} from "../orchestrator/index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import type { Loaded } from "./load-file.ts";
import { runEventLine } from "./orchestrate-line.ts";
import { loadNats } from "./nats-options.ts";
import {
  levelLogger,
  loadParts,
  natsPlace,
  pairsOf,
  readTask,
  storeFolder,
  type CodeFlags,
  type StoreFlags,
} from "./session-options.ts";
import { controlled } from "./run-command.ts";

export interface OrchestrateFlags extends StoreFlags, CodeFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly log?: string;
}

export interface StartFlags extends OrchestrateFlags {
  readonly task?: string;
  readonly run?: string;
  readonly maxIterations?: number;
  readonly maxDuration?: number;
  readonly tokens?: number;
  readonly cost?: number;
  readonly lint?: string | true;
  readonly typecheck?: string | true;
  readonly tests?: string | true;
  readonly criterion?: readonly string[];
  readonly accept?: readonly string[];
  readonly allow?: readonly string[];
  readonly forbid?: readonly string[];
  readonly cwd?: string;
  readonly strategy?: string;
  readonly priority?: string;
  readonly recall?: number;
  readonly provenance?: readonly string[];
}

const DRAIN_MS = 10_000;

export async function startCommand(file: string, flags: StartFlags, io: Io): Promise<number> {
  const parts = await loadParts(file, flags, io);
  const description = (await readTask(flags.task, io)) ?? parts.task;
  if (typeof description !== "string")
    throw new UsageError(
      "what is the task? Give it as text with --task TEXT, --task @FILE or --task - (standard input)",
    );
  const input = inputOf(description, flags, io);
  return followRun(file, parts, flags, io, async (orchestrator) => ({
    runId: orchestrator.startRun(input).runId,
    after: 0,
  }));
}

export async function resumeRunCommand(file: string, runId: string, flags: OrchestrateFlags, io: Io): Promise<number> {
  const parts = await loadParts(file, flags, io);
  return followRun(file, parts, flags, io, async (orchestrator) => {
    const told = await orchestrator.getRunEvents(runId);
    const last = told.at(-1);
    if (last?.type === "run.terminal") return { runId, after: last.seq - 1 };
    await orchestrator.resumeRun(runId);
    return { runId, after: last?.seq ?? 0 };
  });
}

export interface OpenOrchestrator {
  readonly orchestrator: Orchestrator;
  readonly stateManager: StateManager | undefined;
  close(): Promise<void>;
}

/** An orchestrator as FILE describes it: its agents, topology and conditions, and what it exports as `orchestrator` besides. */
export async function orchestratorOf(parts: Loaded, flags: OrchestrateFlags, io: Io): Promise<OpenOrchestrator> {
  if (parts.agents === undefined) throw new UsageError("whose agents? FILE exports none, and --agents names no file");
  const folder = storeFolder(flags, io);
  const stateManager =
    folder === undefined ? parts.options?.stateManager : new StateManager({ storage: new LevelStorage(folder) });
  const place = natsPlace(flags, io);
  const bus = place === undefined ? undefined : (await loadNats()).natsBus(place);
  const config: OrchestratorConfig = {
    agents: parts.agents,
    ...(parts.topology !== undefined && { topology: parts.topology }),
    ...(parts.conditions !== undefined && { conditions: parts.conditions }),
    ...(stateManager !== undefined && { stateManager }),
    ...(bus !== undefined && { bus }),
    ...(flags.log !== undefined && { logger: await levelLogger(flags.log) }),
    ...parts.orchestrator,
  };
  const orchestrator = createOrchestrator(config);
  return {
    orchestrator,
    stateManager,
    async close() {
      await orchestrator.close();
      await bus?.close();
      await orchestrator.memory?.close();
    },
  };
}

async function followRun(
  file: string,
  parts: Loaded,
  flags: OrchestrateFlags,
  io: Io,
  begin: (orchestrator: Orchestrator) => Promise<{ readonly runId: string; readonly after: number }>,
): Promise<number> {
  const interrupted = new AbortController();
  let code: number | undefined;
  const stop = io.onSignal((signal) => {
    // The second time somebody means it.
    if (code !== undefined) return io.exit(code);
    code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
    io.err(`${signal}: letting what is under way finish (once more to stop at once)`);
    interrupted.abort();
  });
  const { orchestrator, stateManager, close } = await orchestratorOf(parts, flags, io);
  const control = stateManager === undefined ? undefined : await controlled(orchestrator.instance, stateManager, io);
  try {
    const { runId, after } = await begin(orchestrator);
    for await (const event of orchestrator.subscribeRunEvents(runId, { after, signal: interrupted.signal })) {
      if (flags.json) io.out(JSON.stringify(event));
      else if (!flags.quiet) io.err(runEventLine(event));
      if (event.type === "run.terminal") return await reported(orchestrator, event, flags, io);
      if (event.type === "run.paused") {
        io.err(`it stands still; go on with: ${resumeLine(file, runId, flags)}`);
        return EXIT.waiting;
      }
    }
    await orchestrator.instance.drain({ timeoutMs: DRAIN_MS });
    if (stateManager !== undefined || flags.nats !== undefined)
      io.err(`the run stays; go on with: ${resumeLine(file, runId, flags)}`);
    return code ?? EXIT.interrupted;
  } finally {
    stop();
    await control?.close();
    await close();
  }
}

async function reported(
  orchestrator: Orchestrator,
  { runId, payload }: OrchestratorEvent & { type: "run.terminal" },
  flags: OrchestrateFlags,
  io: Io,
): Promise<number> {
  const { output } = await orchestrator.getRunResult(runId);
  if (!flags.json && output !== null) io.out(typeof output === "string" ? output : JSON.stringify(output, null, 2));
  return payload.reason === "converged" ? EXIT.ok : EXIT.failed;
}

function resumeLine(file: string, runId: string, { store, nats, agents }: OrchestrateFlags): string {
  const told = [
    ...(agents === undefined ? [] : ["--agents", agents]),
    ...(store === undefined ? [] : ["--store", store]),
    ...(nats === undefined ? [] : ["--nats", nats]),
  ];
  return ["orchestra orchestrate resume", file, runId, ...told].join(" ");
}

function inputOf(description: string, flags: StartFlags, io: Io): StartRunInput {
  const { maxIterations, maxDuration, tokens, cost, lint, typecheck, tests, criterion } = flags;
  const loopPolicy: LoopPolicy = {
    ...(maxIterations !== undefined && { maxIterations }),
    ...(maxDuration !== undefined && { maxDurationMs: maxDuration * 1_000 }),
    ...(tokens !== undefined && { tokenBudget: tokens }),
    ...(cost !== undefined && { budgetLimits: { costUsd: cost } }),
    successCriteria: {
      ...(lint !== undefined && { lint }),
      ...(typecheck !== undefined && { typecheck }),
      ...(tests !== undefined && { tests }),
      ...(criterion !== undefined && { custom: criterion }),
    },
  };
  return {
    description,
    ...(flags.run !== undefined && { runId: flags.run }),
    cwd: flags.cwd ?? io.cwd,
    loopPolicy,
    ...(flags.accept !== undefined && { acceptanceCriteria: flags.accept }),
    ...(flags.allow !== undefined && { allowedPaths: flags.allow }),
    ...(flags.forbid !== undefined && { forbiddenPaths: flags.forbid }),
    ...(flags.strategy !== undefined && { strategy: flags.strategy as NonNullable<StartRunInput["strategy"]> }),
    ...(flags.priority !== undefined && { priority: flags.priority as NonNullable<StartRunInput["priority"]> }),
    ...(flags.recall !== undefined && { recall: flags.recall }),
    ...(flags.provenance !== undefined && { provenance: pairsOf("--provenance", flags.provenance) }),
  };
}
