// A simulation that does not find known defects finds nothing: each checker has one that only it is there for.

import { describe, expect, it } from "vitest";
import { CANARIES, CLUSTER_CANARIES, type Canary } from "../../src/testing/simulation/canaries.ts";
import { CHECKS } from "../../src/testing/simulation/findings.ts";
import { simulateRandomSystems } from "../../src/testing/simulation/random-system.ts";

const SEEDS_MAX = 150;
const HOSTS = 4;

async function seenChecks(canary: Canary, check: string, hosts = 1): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let seed = 1; seed <= SEEDS_MAX && !seen.has(check); seed++) {
    const { findings } = await simulateRandomSystems({ seeds: [seed], hosts, canary, shrink: false });
    for (const failing of findings) for (const finding of failing.findings) seen.add(finding.check);
  }
  return seen;
}

describe("a planted defect is found", () => {
  it.each(Object.entries(CANARIES))("%s", async (canary, { check }) => {
    expect(await seenChecks(canary as Canary, check)).toContain(check);
  });

  it.each(Object.entries(CLUSTER_CANARIES))("%s, with several hosts", async (canary, { check }) => {
    expect(await seenChecks(canary as Canary, check, HOSTS)).toContain(check);
  });

  it("by every checker", () => {
    const own = Object.keys(CHECKS).filter((check) => check !== "user" && check !== "success");
    expect([...new Set<string>(Object.values(CANARIES).map(({ check }) => check))].sort()).toEqual(own.sort());
  });
});
