// What runs leave behind, and the client that tells of it.

import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createOrchestrationClient, type IterationTask } from "orchestra/orchestration";

let cwd: string;
const git = (...args: string[]): string =>
  execFileSync("git", ["-C", cwd, "-c", "user.name=a", "-c", "user.email=a@b.c", ...args], { encoding: "utf8" }).trim();

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "orchestrator-"));
  git("init", "-q", "-b", "main");
  await writeFile(join(cwd, "a.txt"), "0");
  git("add", ".");
  git("commit", "-qm", "Before");
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

it("tells the commits, the logs of checks, and where a run stands", async () => {
  await using client = createOrchestrationClient({
    config: {
      agents: {
        Committer: async ({ iteration }: IterationTask) => {
          await writeFile(join(cwd, "a.txt"), String(iteration));
          git("commit", "-qam", `Iteration ${iteration}`);
          return iteration;
        },
      },
      commands: {
        tests: [process.execPath, "-e", "process.exit(require('fs').readFileSync('a.txt', 'utf8') === '2' ? 0 : 3)"],
      },
    },
  });
  const { runId, result } = client.startRun({
    taskDescription: "commit twice",
    cwd,
    loopPolicy: { successCriteria: { tests: true } },
  });
  expect(["queued", "running"]).toContain((await client.getStatus(runId)).status);
  expect(await result).toMatchObject({ reason: "converged", iterations: 2 });
  const { commits, testLogs, memoryWrites } = await client.orchestrator.getRunArtifacts(runId);
  expect(commits.map(({ message, branch }) => [message, branch])).toEqual([
    ["Iteration 1", "main"],
    ["Iteration 2", "main"],
  ]);
  expect(commits[1]?.sha).toBe(git("rev-parse", "HEAD"));
  expect(testLogs.map(({ name, passed }) => [name, passed])).toEqual([
    ["tests", false],
    ["tests", true],
  ]);
  expect(memoryWrites).toEqual([]);
  expect(await client.getStatus(runId)).toEqual({
    runId,
    status: "completed",
    progress: 100,
    finished: true,
    summary: "converged after 2 iterations",
    commits,
  });
  expect(await client.cancel("nope")).toMatchObject({ success: false });
  expect(await client.orchestrator.getRunArtifacts("nope")).toEqual({ commits: [], testLogs: [], memoryWrites: [] });
});
