// Run artifacts: what a run left behind, read from the steps of its session.

import type { Step } from "../runtime/instance-types.ts";
import type { CheckResult } from "./check-result.ts";
import type { Commit } from "./git-history.ts";
import type { Prepared, Recorded } from "./run-events.ts";

export interface RunArtifacts {
  /** Made in `cwd` while the team was at work, oldest first. */
  readonly commits: readonly Commit[];
  /** One per check and iteration, in order. */
  readonly testLogs: readonly { readonly name: string; readonly output: string; readonly passed: boolean }[];
  readonly memoryWrites: readonly { readonly key: string; readonly namespace: string }[];
}

export const NO_ARTIFACTS: RunArtifacts = Object.freeze({ commits: [], testLogs: [], memoryWrites: [] });

export async function artifactsOf(steps: AsyncIterable<Step>): Promise<RunArtifacts> {
  const commits: Commit[] = [];
  const testLogs: RunArtifacts["testLogs"][number][] = [];
  const memoryWrites: RunArtifacts["memoryWrites"][number][] = [];
  for await (const { node, output, error } of steps) {
    if (error !== null) continue;
    if (node === "prepare") memoryWrites.push(...(output as Prepared).seeded);
    if (node === "check") {
      const { name, output: said, passed } = output as CheckResult;
      testLogs.push({ name, output: said, passed });
    }
    if (node === "record") {
      const recorded = output as Recorded;
      commits.push(...recorded.commits);
      memoryWrites.push(...recorded.learned);
    }
  }
  return { commits, testLogs, memoryWrites };
}
