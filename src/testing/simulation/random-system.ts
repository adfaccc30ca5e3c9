// Random systems: scenarios drawn from the seed alone. What the project tests itself with.

import { runCampaign, type CampaignOptions, type ScenarioSource, type SimulationReport } from "./campaign.ts";
import { DEFAULT_FAULT_RATES } from "./faults.ts";
import { drawScenario, scenarioFrom, type DrawnScenario } from "./random-scenario.ts";
import { canStart } from "./random-topology.ts";
import { hostsOf } from "./several-hosts.ts";

export const RANDOM_SYSTEMS: ScenarioSource = randomSystems(1);

/** With `hostsMax` above 1, each seed has two hosts or more, up to as many. */
export function randomSystems(hostsMax: number): ScenarioSource {
  return {
    parts: (seed) => partsOf(drawScenario(seed)),
    scenario: (seed, without) => ({
      ...scenarioFrom(cut(drawScenario(seed), without)),
      hosts: hostsOf(seed, hostsMax),
    }),
  };
}

export type RandomSystemOptions = Partial<Omit<CampaignOptions, "source" | "replay">> &
  Pick<CampaignOptions, "seeds"> & {
    /** Hosts of a seed, at most. Default 1. */
    readonly hosts?: number;
  };

export function simulateRandomSystems({ hosts = 1, ...options }: RandomSystemOptions): Promise<SimulationReport> {
  return runCampaign({
    faults: DEFAULT_FAULT_RATES,
    shrink: true,
    failingSeedsMax: 5,
    ...options,
    source: randomSystems(hosts),
    replay: (seed, faults, without) =>
      `npm run soak -- --seed ${seed}${hosts > 1 ? ` --hosts ${hosts}` : ""} --faults ${faults.join(",") || "none"}${without.length > 0 ? ` --without ${without.join(",")}` : ""}`,
  });
}

/** `session:s1`, `command:0`, `edge:0.3` (of the first team) and `wild:0.N2` (what its agent does but answer). */
function partsOf({ sessions, commands, teams }: DrawnScenario): string[] {
  return [
    ...sessions.map(({ sessionId }) => `session:${sessionId}`),
    ...commands.map((_, i) => `command:${i}`),
    ...teams.flatMap(({ topology, agents }, t) => [
      ...topology.edges.map((_, e) => `edge:${t}.${e}`),
      ...Object.keys(agents).map((name) => `wild:${t}.${name}`),
    ]),
  ];
}

function cut(drawn: DrawnScenario, without: ReadonlySet<string>): DrawnScenario {
  if (without.size === 0) return drawn;
  return {
    ...drawn,
    sessions: drawn.sessions.filter(({ sessionId }) => !without.has(`session:${sessionId}`)),
    commands: drawn.commands.filter(
      ({ sessionId }, i) => !without.has(`command:${i}`) && !without.has(`session:${sessionId}`),
    ),
    teams: drawn.teams.map((team, t) => {
      const edges = team.topology.edges.filter((_, e) => !without.has(`edge:${t}.${e}`));
      const used = new Set(["N0", ...edges.flatMap(({ from, to }) => [from, to])]);
      const smaller = { ...team.topology, edges, nodes: team.topology.nodes.filter(({ name }) => used.has(name)) };
      return {
        ...team,
        topology: canStart(smaller) ? smaller : team.topology,
        agents: Object.fromEntries(
          Object.entries(team.agents).map(([name, agent]) => [
            name,
            without.has(`wild:${t}.${name}`) ? { ...agent, wildness: 0 } : agent,
          ]),
        ),
      };
    }),
  };
}
