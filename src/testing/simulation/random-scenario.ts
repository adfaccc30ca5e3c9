// Random scenario: a whole system of teams, sessions and commands, drawn as plain data and then brought to life.

import type { ExecutionConfig } from "../../runtime/execution-config.ts";
import type { TopologyInput } from "../../topology/read.ts";
import { between, chance, mix, pick, streamFor } from "./chance.ts";
import { agentFrom, drawAgent, type DrawnAgent } from "./random-agents.ts";
import { drawTopology, type DrawnTopology } from "./random-topology.ts";
import type { Scenario, SimulatedCommand, SimulatedSession, SimulatedTeam } from "./scenario.ts";

interface DrawnTeam {
  readonly topology: DrawnTopology;
  readonly agents: Readonly<Record<string, DrawnAgent>>;
  readonly executionConfig: ExecutionConfig;
}

/** Everything a random scenario is made of. */
export interface DrawnScenario {
  readonly teams: readonly DrawnTeam[];
  readonly sessions: readonly SimulatedSession[];
  readonly commands: readonly SimulatedCommand[];
  readonly durability: "disk" | "process";
  readonly keepHistory: boolean;
  readonly seed: number;
}

const COMMANDS: readonly SimulatedCommand["what"][] = [
  "pause",
  "pause",
  "abort",
  "resume",
  "cancel",
  "checkpoint",
  "checkpoint",
  "restore",
  "context",
  "look",
];
const MAX_STEPS = 40;

export function drawScenario(seed: number): DrawnScenario {
  const random = streamFor(seed, "scenario");
  const teams = Array.from({ length: between(random, 1, 2) }, (_, i) => drawTeam(seed, i));
  const sessions = Array.from({ length: between(random, 1, 4) }, (_, i): SimulatedSession => ({
    sessionId: `s${i}`,
    team: between(random, 0, teams.length - 1),
    task: chance(random, 0.1) ? { text: "y".repeat(20_000) } : `task ${i}`,
    ...(chance(random, 0.2) && { context: { of: i } }),
    startAtMs: between(random, 0, 3_000),
  }));
  const commands = Array.from({ length: chance(random, 0.6) ? between(random, 1, 6) : 0 }, (): SimulatedCommand => ({
    sessionId: pick(random, sessions).sessionId,
    atMs: between(random, 0, 20_000),
    what: pick(random, COMMANDS),
  }));
  return {
    teams,
    sessions,
    commands,
    durability: chance(random, 0.6) ? "disk" : "process",
    keepHistory: chance(random, 0.7),
    seed,
  };
}

function drawTeam(seed: number, index: number): DrawnTeam {
  const random = streamFor(seed, "team", index);
  const topology = drawTopology(random);
  const retry = {
    transient: { maxAttempts: between(random, 1, 4), initialDelayMs: 100, maxDelayMs: 2_000, factor: 2, jitter: 0.5 },
    timeout: { maxAttempts: between(random, 1, 2), initialDelayMs: 50, maxDelayMs: 500, factor: 2, jitter: 0 },
  };
  return {
    topology,
    agents: Object.fromEntries(topology.nodes.map(({ name }) => [name, drawAgent(random)])),
    executionConfig: {
      stepTimeoutMs: between(random, 2_000, 30_000),
      convergenceTimeoutMs: chance(random, 0.3) ? between(random, 1_000, 60_000) : false,
      branchTimeoutMs: chance(random, 0.15) ? between(random, 5_000, 60_000) : false,
      maxConcurrency: between(random, 1, 8),
      retry,
      ...(chance(random, 0.2) && { autoCheckpoint: { everySteps: between(random, 1, 4), keep: 2 } }),
    },
  };
}

export function scenarioFrom(drawn: DrawnScenario): Scenario {
  return {
    teams: drawn.teams.map(({ topology, agents, executionConfig }): SimulatedTeam => ({
      topology: topology as TopologyInput,
      agents: (world) =>
        Object.fromEntries(Object.entries(agents).map(([name, agent]) => [name, agentFrom(agent, world)])),
      executionConfig,
      maxSteps: MAX_STEPS,
    })),
    sessions: drawn.sessions,
    commands: drawn.commands,
    durability: drawn.durability,
    retention: { keepHistory: drawn.keepHistory },
    answer: ({ sessionId, node }) =>
      node === "User" || mix(drawn.seed, sessionId, node) % 2 === 0 ? "yes" : { route: "no" },
  };
}
