// What a run tells of its agents' searches, and what their memory is: that of the run.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { LevelStorage, StateManager } from "orchestra";
import { createMemory, type Memory } from "orchestra/memory";
import {
  createOrchestrator,
  type Orchestrator,
  type OrchestratorConfig,
  type OrchestratorEvent,
} from "orchestra/orchestrator";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./searching-child.ts", import.meta.url));

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

function world(agents: OrchestratorConfig["agents"]): { orchestrator: Orchestrator; memory: Memory } {
  const memory = createMemory();
  const orchestrator = createOrchestrator({ agents, backend: "test", memory });
  open.push(memory, orchestrator);
  return { orchestrator, memory };
}

function searches(events: readonly OrchestratorEvent[]): unknown[] {
  return events.flatMap((event) => (event.type === "memory.searched" ? [event.payload] : []));
}

describe("searches of a run's agents", () => {
  it("are told with who searched for what and what was found, in the iteration, and are in no other run", async () => {
    const { orchestrator, memory } = world({
      Builder: async ({ iteration }: { iteration: number }, ctx) => {
        await ctx.memory?.search(`money ${iteration}`, { scope: "global", topK: 2 });
        if (iteration === 2) await ctx.memory?.search("nothing is kept there");
        return iteration;
      },
    });
    await memory.add(
      [
        { key: "a", value: "money: prices are in cents" },
        { key: "b", value: "money: two digits", namespace: "facts" },
        { key: "c", value: "otters hold hands" },
      ],
      { scope: "global" },
    );
    const { runId, result } = orchestrator.startRun({
      description: "prices",
      recall: 1,
      loopPolicy: { successCriteria: { custom: ({ output }) => output === 2 } },
    });
    await result;
    // Not an agent's.
    await orchestrator.searchMemory("money", { runId });
    const events = await orchestrator.getRunEvents(runId);
    const keys = (...names: string[]): unknown =>
      expect.arrayContaining(names.map((key) => expect.objectContaining({ key })));
    expect(searches(events)).toEqual([
      { iteration: 0, query: "prices", entries: [{ key: "a", namespace: "default" }] },
      { iteration: 1, agent: "Builder", query: "money 1", entries: keys("a", "b") },
      { iteration: 2, agent: "Builder", query: "money 2", entries: keys("a", "b") },
      { iteration: 2, agent: "Builder", query: "nothing is kept there", entries: [] },
    ]);
    const types = events.map(({ type }) => type);
    expect(types.slice(types.indexOf("iteration.started"), types.indexOf("iteration.completed"))).toEqual([
      "iteration.started",
      "memory.searched",
      "check.started",
      "check.failed",
    ]);
    const other = orchestrator.startRun({ description: "x", loopPolicy: { maxIterations: 1 } });
    await other.result;
    expect(searches(await orchestrator.getRunEvents(other.runId))).toMatchObject([{ query: "money 1" }]);
  });

  it("are told of a team that failed, and once of a step that was tried again", async () => {
    const { orchestrator } = world({
      Builder: async (_task: unknown, ctx) => {
        await ctx.memory?.search("first");
        await ctx.memory?.search("first");
        if (ctx.attempt === 2) await ctx.memory?.search("second");
        throw Object.assign(new Error("the disk is full"), { code: "ECONNRESET" });
      },
    });
    const { runId, result } = orchestrator.startRun({
      description: "fail",
      loopPolicy: { retryPolicy: { maxAttempts: 2, backoffMs: 1 } },
    });
    expect(await result).toMatchObject({ reason: "failed" });
    const queries = searches(await orchestrator.getRunEvents(runId)).map(
      (payload) => (payload as { query: string }).query,
    );
    expect(queries).toEqual(["first", "first", "second"]);
  });

  it("are counted where there are too many to tell, and the run stays readable", async () => {
    const { orchestrator } = world({
      Builder: async (_task: unknown, ctx) => {
        for (let i = 0; i < 120; i++) await ctx.memory?.search(`${i} ${"😀".repeat(300)}`);
      },
    });
    const { runId, result } = orchestrator.startRun({ description: "search" });
    expect(await result).toMatchObject({ reason: "converged" });
    const told = searches(await orchestrator.getRunEvents(runId)) as { query: string; moreSearches?: number }[];
    expect(told.length).toBeGreaterThan(2);
    expect(told.length + (told.at(-1)?.moreSearches ?? 0)).toBe(120);
    expect(told[0]?.query).toBe(`0 ${"😀".repeat(198)}…`);
  });

  it.each([
    ["repeats them", ["jitter", "after the crash"], ["cents", "jitter", "after the crash"]],
    ["makes none", [], ["cents", "jitter"]],
  ])("are told once of a process that was killed, where the step that goes on %s", async (_how, queries, expected) => {
    const folder = await mkdtemp(join(tmpdir(), "orchestrator-"));
    const [store, kept] = [join(folder, "store"), join(folder, "memory")];
    const child = spawn(process.execPath, [CHILD, store, kept], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      child.kill("SIGKILL");
      await once(child, "exit");
      await using memory = createMemory({ folder: kept });
      await using again = createOrchestrator({
        stateManager: new StateManager({ storage: new LevelStorage(store) }),
        memory,
        agents: {
          Reader: () => expect.unreachable("its step has ended"),
          Builder: async (_task: unknown, ctx) => {
            for (const query of queries) await ctx.memory?.search(query, { scope: "global" });
            return "built";
          },
        },
      });
      const events: OrchestratorEvent[] = [];
      for await (const event of again.subscribeRunEvents("killed")) events.push(event);
      expect(searches(events)).toMatchObject(expected.map((query) => ({ query })));
      expect(searches(events)[0]).toMatchObject({ agent: "Reader", entries: [{ key: "money" }] });
      expect(await again.getRunEvents("killed")).toEqual(events);
    } finally {
      child.kill("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    }
  });
});

it("an agent's memory is the run's: it finds what the run was given, and later iterations what it adds", async () => {
  const found: unknown[] = [];
  const { orchestrator, memory } = world({
    Builder: async ({ iteration }: { iteration: number }, ctx) => {
      found.push((await ctx.memory?.search("money"))?.map(({ key }) => key).toSorted());
      await ctx.memory?.add({ key: `added ${iteration}`, value: `money ${iteration}` });
      await ctx.memory?.add({ key: "shared", value: "money" }, { scope: { project: "till" } });
      return iteration;
    },
  });
  const { runId, result } = orchestrator.startRun({
    description: "build",
    memorySeed: [{ key: "seed", value: "money is cents" }],
    provenance: { project: "till", cardId: "card-7" },
    loopPolicy: { successCriteria: { custom: ({ output }) => output === 2 } },
  });
  await result;
  expect(found).toEqual([["seed"], ["added 1", "seed", "shared"]]);
  const [shared] = await memory.search("money", { scope: { project: "till" }, namespace: "default" });
  expect(shared).toMatchObject({
    key: "shared",
    provenance: { project: "till", cardId: "card-7", runId, agent: "Builder" },
  });
});
