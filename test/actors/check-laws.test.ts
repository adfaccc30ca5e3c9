// What a check proves holds in every run, and what it refutes can be followed: on random topologies, agents and schedules.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/base/random.ts";
import { Topology, type CheckFinding, type CheckReport, type FindingCode } from "../../src/index.ts";
import { expectToHappen, follow } from "./follow.ts";
import { final, invoke, parallel, play, type Play, type Script } from "./play.ts";
import { NAMES, startable, worldArbitrary, type World } from "./random-worlds.ts";

const ALL_KINDS = ["->", "->", "->", "error", "notify", "<->", "<=>", "<~>", "<|>"];
const CONDITIONS = ["yes", "maybe"];

/** In half of the worlds some loops have no bound. */
const worlds = worldArbitrary(false, ALL_KINDS, CONDITIONS).map((world) => {
  if (world.seed % 2 === 0) return world;
  const edges = (world.edges as Record<string, unknown>[]).map(({ maxVisits, ...edge }, i) =>
    maxVisits === undefined || (world.seed >> (i % 16)) % 2 === 0 ? { ...edge, maxVisits } : edge,
  );
  return { ...world, edges };
});

interface Played {
  readonly run: Play;
  failed: boolean;
  commanded: boolean;
}

/** Agents do as chance has it, in any order. No join runs out of time: that a check does not look at. */
function playFreely({ nodes, edges }: World, seed: number, may: { fail?: boolean; command?: boolean }): Played {
  const random = seededRandom(seed);
  const chance = (): number => random.next();
  const played = { failed: false, commanded: false };
  const script: Script = Object.fromEntries(
    NAMES.map((name) => [
      name,
      () => {
        if (may.fail === true && chance() < 0.15) {
          played.failed = true;
          throw new Error("boom");
        }
        if (may.command === true && chance() < 0.15) {
          played.commanded = true;
          const other = (): string => NAMES[Math.floor(chance() * nodes.length)]!;
          const kind = chance();
          if (kind < 0.2) return final("enough");
          return kind < 0.6 ? invoke(other(), "go") : parallel([other(), 1], [other(), 2]);
        }
        return Object.fromEntries(CONDITIONS.map((condition) => [condition, chance() < 0.5]));
      },
    ]),
  );
  const run = play({ nodes, edges, entryPoint: "N0" }, script, { limits: { maxSteps: 300 } });
  while (run.out.size > 0) {
    const out = [...run.out.keys()];
    run.step(out[Math.floor(chance() * out.length)]!);
  }
  return { run, ...played };
}

const topologyOf = ({ nodes, edges }: World) => ({ nodes, edges, entryPoint: "N0" }) as never;

function checked(world: World): CheckReport {
  return Topology.from(topologyOf(world)).check({ maxStates: 800 });
}

function findingFor(report: CheckReport, codes: readonly FindingCode[], node: string): CheckFinding | undefined {
  return report.findings.find((finding) => codes.includes(finding.code) && finding.nodes.includes(node));
}

/** The findings that foretell an end by this error. */
const FORETOLD: Readonly<Record<string, readonly FindingCode[]>> = {
  ORCH_NO_ROUTE: ["nothing_delivered"],
  ORCH_LOOP_BOUND: ["loop_bound_fails"],
  ORCH_AGENT_FAILED: ["failure_ends_run"],
  ORCH_CONVERGENCE: ["join_can_fail", "join_never_satisfied"],
};

function expectForetold(report: CheckReport, { run, failed }: Played): void {
  const { end, boundsHit, steps, invocations } = run.state.run!;
  expect(steps).toBeLessThanOrEqual(report.worstCaseSteps);
  const outOfSteps = end!.terminalReason === "max_steps";
  if (report.proven.alwaysEnds) expect(outOfSteps).toBe(false);
  if (report.proven.alwaysDelivers && !failed) expect(end!.status).toBe("completed");
  const { nodes } = run.state.run!.topology;
  for (const { code, nodes: unreached } of report.findings) {
    if (code !== "unreached_node") continue;
    for (const name of unreached) expect(invocations[nodes.findIndex((node) => node.name === name)]).toBe(0);
  }
  for (const event of run.events) {
    if (event.type !== "barrier.fired") continue;
    if (event.decision === "fired") expect(findingFor(report, ["join_never_satisfied"], event.node)).toBeUndefined();
    if (event.decision !== "failed") continue;
    const finding = findingFor(report, FORETOLD["ORCH_CONVERGENCE"]!, event.node);
    expect(finding, `the join at ${event.node} failed`).toBeDefined();
    if (!failed) expect(needsFailure(finding!)).toBe(false);
  }
  if (!outOfSteps && end!.error !== null) {
    const { code, node = "" } = end!.error;
    const finding = findingFor(report, FORETOLD[code] ?? [], node);
    expect(finding, `${code} at ${node}`).toBeDefined();
    if (!failed) expect(needsFailure(finding!)).toBe(false);
  }
  for (const bound of boundsHit) {
    if (bound === "max_steps") continue;
    expect(report.findings.some((f) => f.code === "loop_bound_hit" && f.message.includes(bound))).toBe(true);
  }
}

function needsFailure({ schedule }: CheckFinding): boolean {
  return schedule.some(({ end }) => end === "failed");
}

describe("what a check proves", () => {
  it("holds in every run whose agents return values or fail, in any order", () => {
    let proofs = 0;
    fc.assert(
      fc.property(worlds, fc.integer(), (world, seed) => {
        if (!startable(world)) return;
        const report = checked(world);
        if (!report.complete) return;
        proofs += 1;
        for (let i = 0; i < 12; i++) expectForetold(report, playFreely(world, seed + i, { fail: i % 3 !== 0 }));
      }),
      { numRuns: 60 },
    );
    expect(proofs).toBeGreaterThan(5);
  });

  it("about nodes no run reaches holds of runs with commands too", () => {
    fc.assert(
      fc.property(worlds, fc.integer(), (world, seed) => {
        if (!startable(world)) return;
        const { findings } = checked(world);
        const never = findings.filter(({ code, severity }) => code === "unreached_node" && severity === "error");
        const { run } = playFreely(world, seed, { fail: true, command: true });
        for (const { nodes } of never) for (const name of nodes) expect(run.inputs(name)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("what a check refutes", () => {
  it("comes about when its schedule is followed", () => {
    const seen = new Map<FindingCode, number>();
    fc.assert(
      fc.property(worlds, (world) => {
        if (!startable(world)) return;
        for (const finding of checked(world).findings) {
          if (finding.schedule.length === 0) continue;
          expectToHappen(finding, follow(topologyOf(world), finding.schedule));
          seen.set(finding.code, (seen.get(finding.code) ?? 0) + 1);
        }
      }),
      // Fixed, for the worlds must show each of these at least once.
      { numRuns: 40, seed: 2 },
    );
    for (const code of ["nothing_delivered", "join_can_fail", "loop_bound_hit"])
      expect([...seen.keys()]).toContain(code);
  });
});
