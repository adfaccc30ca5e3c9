import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { silentLogger, type Logger } from "../../src/base/logger.ts";
import { next } from "../../src/runtime/agent.ts";
import { StateManager } from "../../src/runtime/state-manager.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { SessionStore } from "../../src/state/ports.ts";
import type { RetentionPolicy } from "../../src/state/retention.ts";
import { SimClock } from "../../src/testing/sim-clock.ts";
import { Orchestra } from "../../src/runtime/orchestra.ts";
import { code, LIMITS, request, run, topology, world } from "./world.ts";

const ROUNDS = 500;
const MANY_STEPS = { limits: { ...LIMITS, maxSteps: 10_000 } };
const LONG = topology(
  "S -> Q",
  "S -> L",
  "L -> M",
  { edge: "M -> L", condition: "again", back: true },
  { edge: "M -> E", condition: "done" },
);

/** A run of 1,000 and some steps; a question is asked in its first moment and stays open all the while. */
function long(onRound: (n: number) => Promise<unknown> = async () => undefined) {
  return code({
    S: () => ({ n: 0 }),
    Q: (x, ctx) => (ctx.question === undefined ? next.ask("which colour?") : x),
    L: async ({ n }: { n: number }) => {
      await onRound(n);
      return { n: n + 1 };
    },
    M: ({ n }: { n: number }) => ({ n, route: n < ROUNDS ? "again" : "done" }),
    E: ({ n }: { n: number }) => n,
  });
}

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function open(kind: string): Promise<SessionStore> {
  if (kind === "memory") return memoryStorage();
  const folder = await mkdtemp(join(tmpdir(), "retention-"));
  folders.push(folder);
  return new LevelStorage(folder, { durability: "process" });
}

/** Runs the long run until it waits for the answer, with a checkpoint made in its tenth round and a listener that sees all. */
async function untilWaiting(store: SessionStore, retention: RetentionPolicy | undefined) {
  const here = world({ store, ...(retention === undefined ? {} : { retention }) });
  let checkpointId = "";
  const agents = long(async (n) => {
    if (n === 10 && checkpointId === "") checkpointId = await here.engine.createCheckpoint("s", "early");
  });
  const handle = await here.engine.start(request("t", LONG, agents, { sessionId: "s", ...MANY_STEPS }));
  let heard = 0;
  for await (const event of here.engine.events("s", { untilSettled: true }))
    if (event.type === "step.succeeded") heard++;
  expect((await handle.outcome).status).toBe("awaiting_user");
  return { ...here, agents, checkpointId, heard };
}

describe("retention", () => {
  it.each(["memory", "level"])(
    "shrinks the log of a session that runs long (%s), and leaves its question and checkpoints whole",
    async (kind) => {
      const store = await open(kind);
      const { engine, again, agents, checkpointId, heard } = await untilWaiting(store, { keepHistory: false });
      expect(heard).toBe(2 * ROUNDS + 3);
      await expect.poll(async () => (await store.stats()).commits).toBeLessThan(600);
      expect((await store.stats()).snapshots).toBe(2);
      await engine.close();

      const later = again({ store }).engine;
      expect((await later.questions("s")).map((question) => question.promptValue)).toEqual(["which colour?"]);
      expect((await later.listCheckpoints("s")).map(({ name }) => name)).toEqual(["early"]);
      expect(await later.restoreCheckpoint(checkpointId)).toBe(true);
      const waiting = await (await later.resume("s", { code: agents })).outcome;
      expect(waiting.status).toBe("awaiting_user");
      const answered = await (await later.resume("s", { code: agents, userResponse: "blue" })).outcome;
      expect(answered.finalResponse).toEqual(["blue", ROUNDS]);
      expect((await store.verify()).problems).toEqual([]);
      await later.close();
      await store.close();
    },
  );

  it("loses nothing where the user says nothing", async () => {
    const { engine, store } = await untilWaiting(memoryStorage(), undefined);
    const steps = 2 * ROUNDS + 3;
    let n = 0;
    for await (const commit of store.read("s")) expect(commit.n).toBe(++n);
    expect(n).toBeGreaterThan(steps);
    let traced = 0;
    for await (const step of engine.trace("s")) if (step.node !== "") traced++;
    expect(traced).toBe(steps);
    let replayed = 0;
    for await (const event of engine.events("s", { untilSettled: true }))
      if (event.type === "step.succeeded") replayed++;
    expect(replayed).toBe(steps);
    expect((await store.stats()).snapshots).toBe(2);
    await engine.close();
  });

  it("removes the oldest ended sessions once others end, a minute after they ended themselves", async () => {
    const clock = new SimClock();
    const { engine, store } = world({ clock, retention: { keepRuns: 2 } });
    await run(engine, 1, topology("A"), { A: (_x, ctx) => ctx.ask("?") }, { sessionId: "waiting" });
    for (const sessionId of ["a", "b", "c", "d"]) {
      await clock.advance(1_000);
      await run(engine, 1, topology("A"), { A: (x) => x }, { sessionId });
    }
    const ids = async () => (await store.listSessions()).map((entry) => entry.sessionId);
    await clock.settle();
    expect(await ids()).toEqual(["a", "b", "c", "d", "waiting"]);
    await clock.advance(61_000);
    await run(engine, 1, topology("A"), { A: (x) => x }, { sessionId: "e" });
    await expect.poll(ids).toEqual(["d", "e", "waiting"]);
    await engine.close();
  });

  it("does not touch a run when what it lets go of cannot be dropped, and says so", async () => {
    const store = memoryStorage();
    const failing: SessionStore = new Proxy(store, {
      get(target, key) {
        if (key === "compact") return () => Promise.reject(new Error("read-only"));
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const warnings: unknown[] = [];
    const logger: Logger = { ...silentLogger, warn: (fields) => void warnings.push(fields), child: () => logger };
    const { engine } = world({ store: failing, logger, retention: { keepHistory: false } });
    const outcome = await run(engine, 1, topology("A -> B"), { A: (x) => x, B: (x) => x }, { sessionId: "s" });
    expect(outcome.status).toBe("completed");
    await expect.poll(() => warnings).toMatchObject([{ sessionId: "s", error: { message: "read-only" } }]);
    await engine.close();
  });

  it("reaches a running instance through its state manager", async () => {
    const storage = memoryStorage();
    const stateManager = new StateManager({ storage, retention: { keepHistory: false } });
    const result = await Orchestra.run({
      agents: {
        S: () => ({ n: 0 }),
        L: ({ n }: { n: number }) => ({ n: n + 1 }),
        M: ({ n }: { n: number }) => ({ n, route: n < ROUNDS ? "again" : "done" }),
        E: ({ n }: { n: number }) => n,
      },
      topology: {
        edges: [
          "S -> L",
          "L -> M",
          { from: "M", to: "L", metadata: { condition: "again", back: true } },
          { from: "M", to: "E", metadata: { condition: "done" } },
        ],
      },
      task: "t",
      maxSteps: 10_000,
      stateManager,
    } as never);
    expect(result.finalResponse).toBe(ROUNDS);
    expect((await storage.stats()).commits).toBeLessThan(600);
  });
});
