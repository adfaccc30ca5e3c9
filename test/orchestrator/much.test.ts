// Runs of which there is much to tell. An outcome above 16 KiB is listed by its reference, so what events need must come in pages.

import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createMemory } from "orchestra/memory";
import { createOrchestrator, type IterationTask, type OrchestratorEvent } from "orchestra/orchestrator";

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "orchestrator-"));
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

const git = (args: readonly string[], input?: string): string =>
  execFileSync("git", ["-C", cwd, "-c", "user.name=a", "-c", "user.email=a@b.c", ...args], {
    encoding: "utf8",
    input,
  }).trim();

function keysIn(events: readonly OrchestratorEvent[], type: "memory.seeded" | "memory.learned"): string[] {
  return events.flatMap((event) => (event.type === type ? event.payload.entries.map(({ key }) => key) : []));
}

const numbered = (count: number, what: string): string[] =>
  Array.from({ length: count }, (_, i) => `${what} number ${i}`);

describe("a run", () => {
  it("tells of all it was given, learned and committed, however much", async () => {
    git(["init", "-q", "-b", "main"]);
    const memory = createMemory();
    const [seeds, lessons, messages] = [numbered(700, "seed"), numbered(120, "lesson"), numbered(250, "commit")];
    await using orchestrator = createOrchestrator({
      memory,
      agents: {
        Busy: async ({ runId }: IterationTask) => {
          for (const key of lessons) await orchestrator.recordLearning(runId, { key, value: key });
          const commits = messages.map(
            (message) => `commit refs/heads/main\ncommitter a <a@b.c> 0 +0000\ndata ${message.length}\n${message}\n`,
          );
          git(["fast-import", "--quiet"], commits.join("\n"));
        },
      },
    });
    const { runId, result } = orchestrator.startRun({
      description: "ü".repeat(9_000),
      cwd,
      memorySeed: seeds.map((key) => ({ key, value: 1 })),
    });
    expect(await result).toMatchObject({ reason: "converged" });
    const events = await orchestrator.getRunEvents(runId);
    expect(events[0]).toMatchObject({ type: "run.started", payload: { description: `${"ü".repeat(3_072)}…` } });
    expect(keysIn(events, "memory.seeded")).toEqual(seeds);
    expect(keysIn(events, "memory.learned")).toEqual(lessons);
    const { commits, memoryWrites } = await orchestrator.getRunArtifacts(runId);
    // The repository had no commit when the run began.
    expect(commits.map(({ message }) => message)).toEqual(messages);
    expect(memoryWrites.map(({ key }) => key)).toEqual([...seeds, ...lessons]);
    await memory.close();
  });

  it("takes the commits of a folder that becomes a repository while it is at work for nobody's", async () => {
    await using orchestrator = createOrchestrator({
      agents: {
        Cloner: async () => {
          git(["init", "-q"]);
          await writeFile(join(cwd, "a"), "");
          git(["add", "."]);
          git(["commit", "-qm", "Of somebody else"]);
        },
      },
    });
    const { runId, result } = orchestrator.startRun({ description: "clone", cwd });
    await result;
    expect((await orchestrator.getRunArtifacts(runId)).commits).toEqual([]);
  });

  it("is refused names that do not fit what it tells", async () => {
    await using orchestrator = createOrchestrator({ agents: { A: () => "a" } });
    const long = "x".repeat(501);
    expect(() => orchestrator.startRun({ description: "x", memorySeed: [{ key: long, value: 1 }] })).toThrow(
      /memorySeed\.0\.key: expected a text of 1 to 500 characters/,
    );
    const custom = Object.fromEntries(numbered(300, "criterion").map((name) => [name, () => true]));
    expect(() => orchestrator.startRun({ description: "x", loopPolicy: { successCriteria: { custom } } })).toThrow(
      /names of all checks come to \d+ bytes; expected at most 4096/,
    );
  });
});
