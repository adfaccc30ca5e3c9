// The seeds of the normal test run, in slices, so that several files of tests share them.

import { expect, it } from "vitest";
import { describeFailingSeed } from "../../src/testing/simulation/campaign.ts";
import { simulateRandomSystems } from "../../src/testing/simulation/random-system.ts";

const SLICE = 100;

/** Hosts: two or more in each seed, up to as many; 1: a process with a disk of its own. */
export function simulateSeeds(from: number, to: number, hosts = 1): void {
  for (let first = from; first <= to; first += SLICE) {
    const seeds = Array.from({ length: Math.min(SLICE, to - first + 1) }, (_, i) => first + i);
    it(`holds in seeds ${first} to ${first + seeds.length - 1}`, { timeout: 300_000 }, async () => {
      const report = await simulateRandomSystems({ seeds, hosts });
      expect(report.findings.map(describeFailingSeed).join("\n")).toBe("");
      expect(report.seeds).toBe(seeds.length);
      // A storm that never blows would let anything pass.
      expect(report.crashes).toBeGreaterThan(seeds.length / 2);
      expect(Object.keys(report.faults).length).toBeGreaterThan(8);
      expect(report.endings["completed"]).toBeGreaterThan(seeds.length / 2);
    });
  }
}
