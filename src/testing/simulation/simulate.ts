// Simulate: a user's own topology and agents, under crashes and everything else that can go wrong.

import { OrchestraError } from "../../base/errors.ts";
import type { ExecutionConfig } from "../../runtime/execution-config.ts";
import type { OrchestraResult } from "../../runtime/result.ts";
import { assertOptions } from "../../runtime/option-schema.ts";
import { resultFromOutcome } from "../../runtime/result-from-outcome.ts";
import type { AgentsOption, Condition, ErrorHandlingConfig, Task } from "../../runtime/run-options.ts";
import type { TopologyInput } from "../../topology/read.ts";
import { describeFailingSeed, runCampaign, type ScenarioSource, type SimulationReport } from "./campaign.ts";
import { simulateSchema } from "./simulate-options.ts";
import { between, chance, pick, streamFor } from "./chance.ts";
import { DEFAULT_FAULT_RATES, type FaultRates } from "./faults.ts";
import { hostsOf } from "./several-hosts.ts";
import type { AgentWorld, Scenario, SimulatedCommand, SimulatedSession, SimulatedTeam } from "./scenario.ts";

export interface SimulateOptions {
  readonly topology: TopologyInput;
  /**
   * As for `Orchestra.run`, or a function that makes them for each simulated process, with `sleep`, `random` and
   * `outside` of the simulated world. Agents that wait for the real world (timers, sockets, files) stand still here until their time limit.
   */
  readonly agents: AgentsOption | ((world: AgentWorld) => AgentsOption);
  /** How many seeds, from 1 on, or which. Default 100. */
  readonly seeds?: number | readonly number[];
  /** What is asked; each session of a seed takes one of them. Default: one task, "simulated task". */
  readonly tasks?: readonly Task[];
  /** Sessions of one seed, at most. Default 3. */
  readonly sessions?: number;
  readonly conditions?: Readonly<Record<string, Condition>>;
  readonly errorConfig?: ErrorHandlingConfig;
  readonly executionConfig?: ExecutionConfig;
  readonly maxSteps?: number | false;
  /** What a person says to a question. Default: "yes". */
  answer?(question: { readonly sessionId: string; readonly node: string; readonly prompt: unknown }): unknown;
  /**
   * Called with every result that a session has ended in, each time somebody is told of it. What it throws, or the text
   * it returns, is a finding.
   */
  check?(
    result: OrchestraResult,
    about: { readonly seed: number; readonly sessionId: string; readonly outside: Map<string, any> },
  ): unknown;
  /**
   * Hosts at most: each seed has two or more on one simulated bus, and keeps its sessions there; any of them runs steps and
   * takes over from those that are gone. Default 1: one process with a disk of its own.
   */
  readonly hosts?: number;
  /** What the store of a single process promises. Default "disk". */
  readonly durability?: "disk" | "process";
  /** The highest rate of each kind of fault (`{}`: none at all), or exactly those faults a report names. Default: `DEFAULT_FAULT_RATES`. */
  readonly faults?: FaultRates | readonly string[];
  /** Sessions are paused, resumed and looked at meanwhile, and checkpoints made. Default true. */
  readonly commands?: boolean;
  /** Parts of a seed left out, as a report names them. */
  readonly without?: readonly string[];
  /** Looks for the smallest list of faults that still fails. Default true. */
  readonly shrink?: boolean;
  /** Stops after as many failing seeds. Default 3. */
  readonly failingSeedsMax?: number;
  /**
   * Share of the runs, 0 to 1, that must complete, or `false`: none need. Fewer are a finding. Default: at least one run
   * must, because a campaign in which every run fails has tried nothing.
   */
  readonly successShareMin?: number | false;
  /** Throws when there are findings, with how to see each again. Default false. */
  readonly orThrow?: boolean;
}

const COMMANDS: readonly SimulatedCommand["what"][] = ["pause", "abort", "resume", "checkpoint", "look"];
const SEEDS = 100;
const SESSIONS_MAX = 3;
const TASKS: readonly Task[] = ["simulated task"];

/**
 * Runs the team once per seed in a simulated process, or in several hosts, on a simulated clock, bus and disk, while crashes,
 * lost acknowledgements, slow and failing disks, partitions and the like strike; then lets things calm down, and demands that every
 * session ends. What must hold meanwhile is checked after every event (`docs/reliability.md`). The same seed does the
 * same, to the last event, as long as the agents draw on nothing but their input, their context and their `world`.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` (unknown options included), `ORCH_TOPOLOGY_INVALID`, `ORCH_AGENT_UNKNOWN` for what cannot start at all.
 * @throws {AggregateError} with `orThrow`, one error per failing seed.
 */
export async function simulate(options: SimulateOptions): Promise<SimulationReport> {
  assertOptions(simulateSchema, options);
  const { check, successShareMin = "some" } = options;
  const report = await runCampaign({
    source: sourceOf(options),
    seeds: seedsOf(options.seeds ?? SEEDS),
    faults: options.faults ?? DEFAULT_FAULT_RATES,
    without: options.without ?? [],
    shrink: options.shrink ?? true,
    failingSeedsMax: options.failingSeedsMax ?? 3,
    ...(successShareMin !== false && { successShareMin }),
    replay: (seed, faults, without) =>
      `simulate({ …, seeds: [${seed}]${(options.hosts ?? 1) > 1 ? `, hosts: ${options.hosts}` : ""}, faults: ${JSON.stringify(faults)}${without.length > 0 ? `, without: ${JSON.stringify(without)}` : ""} })`,
    ...(check !== undefined && {
      onOutcome: (about, outcome) =>
        outcome.state.run?.end == null ? undefined : complaintOf(() => check(resultFromOutcome(outcome), about)),
    }),
  });
  if (options.orThrow === true && report.findings.length > 0) {
    const texts = report.findings.map(describeFailingSeed);
    throw new AggregateError(
      texts.map((text) => new Error(text)),
      `${report.findings.length} of ${report.seeds} simulated seeds failed:\n${texts.join("\n")}`,
    );
  }
  return report;
}

function complaintOf(check: () => unknown): string | undefined {
  try {
    const said = check();
    return typeof said === "string" && said !== "" ? said : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
function seedsOf(seeds: number | readonly number[]): readonly number[] {
  const list = typeof seeds === "number" ? Array.from({ length: seeds }, (_, i) => i + 1) : seeds;
  const isSeed = (seed: number): boolean => Number.isSafeInteger(seed) && seed >= 0;
  if (list.length > 0 && list.every(isSeed)) return list;
  throw new OrchestraError("ORCH_BAD_OPTION", "seeds: expected how many, from 1, or a list of whole numbers from 0");
}

function sourceOf(options: SimulateOptions): ScenarioSource {
  const { topology, agents, conditions, errorConfig, executionConfig, maxSteps } = options;
  const team: SimulatedTeam = {
    topology,
    agents: (world) => (typeof agents === "function" ? agents(world) : agents),
    ...(conditions !== undefined && { conditions }),
    ...(errorConfig !== undefined && { errorConfig }),
    ...(executionConfig !== undefined && { executionConfig }),
    ...(maxSteps !== undefined && { maxSteps }),
  };
  const scenario = (seed: number, without: ReadonlySet<string>): Scenario => {
    const { sessions, commands } = drawn(seed, options);
    return {
      teams: [team],
      sessions: sessions.filter(({ sessionId }) => !without.has(`session:${sessionId}`)),
      commands: commands.filter(
        ({ sessionId }, i) => !without.has(`command:${i}`) && !without.has(`session:${sessionId}`),
      ),
      durability: options.durability ?? "disk",
      hosts: hostsOf(seed, options.hosts ?? 1),
      answer: (question) => options.answer?.(question) ?? "yes",
    };
  };
  const parts = (seed: number): string[] => {
    const { sessions, commands } = drawn(seed, options);
    return [...sessions.map(({ sessionId }) => `session:${sessionId}`), ...commands.map((_, i) => `command:${i}`)];
  };
  return { scenario, parts };
}

function drawn(seed: number, options: SimulateOptions): Pick<Scenario, "sessions" | "commands"> {
  const { tasks = TASKS, sessions: sessionsMax = SESSIONS_MAX, commands = true } = options;
  const random = streamFor(seed, "own");
  const sessions = Array.from({ length: between(random, 1, sessionsMax) }, (_, i): SimulatedSession => ({
    sessionId: `s${i}`,
    team: 0,
    task: pick(random, tasks),
    startAtMs: between(random, 0, 2_000),
  }));
  const given = Array.from(
    { length: commands && chance(random, 0.6) ? between(random, 1, 4) : 0 },
    (): SimulatedCommand => ({
      sessionId: pick(random, sessions).sessionId,
      atMs: between(random, 0, 15_000),
      what: pick(random, COMMANDS),
    }),
  );
  return { sessions, commands: given };
}
