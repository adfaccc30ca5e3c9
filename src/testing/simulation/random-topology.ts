// Random topologies: pipelines, hubs, conditionals, nested forks, loops, error edges, conversations, peers, questions to
// people, and anything of these on top of each other.

import type { Random } from "../../base/random.ts";
import type { EdgeValue, NodeValue } from "../../topology/edge.ts";
import type { TopologyInput } from "../../topology/read.ts";
import { Topology } from "../../runtime/topology.ts";
import { between, chance, pick } from "./chance.ts";

/** Plain data, so that it can be printed and made smaller. */
export interface DrawnTopology {
  readonly nodes: readonly NodeValue[];
  readonly edges: readonly EdgeValue[];
  readonly entryPoint: string;
}

const KINDS = ["->", "->", "->", "->", "error", "notify", "<->", "<->", "<=>", "<~>", "<|>", "stream"] as const;
const POLICIES = [
  { minRatio: 0.5 },
  { quorum: 1 },
  { quorum: 2 },
  { minRatio: 0.6, onInsufficient: "proceed" },
  { minRatio: 1, onInsufficient: "user" },
] as const;
const TRIES = 30;

export function drawTopology(random: Random): DrawnTopology {
  for (let i = 0; i < TRIES; i++) {
    const drawn = tryTopology(random);
    if (canStart(drawn)) return drawn;
  }
  return { nodes: [{ name: "N0" }, { name: "N1" }], edges: [{ from: "N0", to: "N1" }], entryPoint: "N0" };
}

export function canStart(topology: DrawnTopology): boolean {
  return Topology.from(topology as TopologyInput)
    .validate()
    .every(({ severity }) => severity !== "error");
}

function tryTopology(random: Random): DrawnTopology {
  const size = between(random, 2, 8);
  const names = Array.from({ length: size }, (_, i) => `N${i}`);
  const nodes: NodeValue[] = names.map((name) => ({
    name,
    ...(chance(random, 0.15) && { convergencePolicy: pick(random, POLICIES) }),
    ...(chance(random, 0.1) && { parallelCalls: true }),
  }));
  const edges: EdgeValue[] = [];
  const taken = new Set<string>();
  const add = (from: string, to: string, more: Partial<EdgeValue> = {}): void => {
    if (from === to || taken.has(`${from} ${to}`) || taken.has(`${to} ${from}`)) return;
    taken.add(`${from} ${to}`);
    edges.push({ from, to, ...more });
  };
  const tree = chance(random, 0.7);
  for (let i = 1; i < size; i++) add(names[tree ? (i - 1) >> 1 : i - 1] as string, names[i] as string);
  for (let i = between(random, 0, size * 2); i > 0; i--) {
    const [a, b] = [between(random, 0, size - 1), between(random, 0, size - 1)];
    add(names[a] as string, names[b] as string, edgeOptions(random, a > b));
  }
  if (chance(random, 0.25)) {
    nodes.push({ name: "User" });
    const asker = pick(random, names);
    add(asker, "User");
    if (chance(random, 0.7))
      edges.push({
        from: "User",
        to: pick(
          random,
          names.filter((name) => name !== asker),
        ),
      });
  }
  return { nodes, edges, entryPoint: "N0" };
}

function edgeOptions(random: Random, back: boolean): Partial<EdgeValue> {
  const kind = pick(random, KINDS);
  const visits = back ? { maxVisits: between(random, 1, 3) } : {};
  switch (kind) {
    case "->":
      return { ...visits, ...(chance(random, 0.35) && { metadata: { condition: "yes" } }) };
    case "error":
      return { ...visits, on: "error" };
    case "notify":
      return { ...visits, type: "notify" };
    case "stream":
      return { ...visits, type: "stream" };
    default:
      return { ...visits, pattern: kind };
  }
}
