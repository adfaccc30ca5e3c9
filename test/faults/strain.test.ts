// What a process is put through that does not kill it: blocked, asked too much at once, watched by those who are slow or throw.

import { describe, expect, it } from "vitest";
import { defineAgent, isOrchestraError, LevelStorage, OrchestraInstance, StateManager, type RunEvent } from "orchestra";
import { request, topology, world } from "../runtime/world.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";

function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe("a blocked event loop", () => {
  it("delays the other sessions and the deadlines, and makes none of them fail that did its work in time", async () => {
    const { engine } = world({ store: new LevelStorage(await temporaryFolder(), { durability: "process" }) });
    const timed = {
      ...topology("A -> B"),
      nodes: [
        { name: "A", kind: "agent", timeoutMs: 300 },
        { name: "B", kind: "agent" },
      ],
    } as const;
    let blockers = 0;
    const spinning = {
      // Beyond the deadline of every other step, again and again.
      A: () => (spin(500), ++blockers),
      B: () => "through",
    };
    const quick = { A: () => "in time", B: (x: unknown) => x };
    const stuck = { A: () => new Promise(() => undefined), B: (x: unknown) => x };
    const start = (agents: typeof quick | typeof spinning | typeof stuck, data = topology("A -> B")) =>
      engine.start(request("t", data, agents)).then(({ outcome }) => outcome);
    const [blocked, all, late] = await Promise.all([
      Promise.all([1, 2, 3].map(() => start(spinning))),
      Promise.all(Array.from({ length: 50 }, () => start(quick, timed))),
      start(stuck, timed),
    ]);
    expect(blockers).toBe(3);
    expect(blocked.map((one) => one.finalResponse)).toEqual(["through", "through", "through"]);
    expect(all.map((one) => one.finalResponse)).toEqual(all.map(() => "in time"));
    expect(late).toMatchObject({ status: "failed", error: { code: "ORCH_TIMEOUT" } });
    await engine.close();
  });
});

describe("10,000 sessions at once", () => {
  it("are all run when there is room for them", async () => {
    await using instance = new OrchestraInstance({ topology: { nodes: ["A"] }, agents: { A: (task) => task } });
    const results = await Promise.all(Array.from({ length: 10_000 }, (_, i) => instance.execute({ task: `${i}` })));
    expect(results.filter((one, i) => one.finalResponse === `${i}`)).toHaveLength(10_000);
  });

  it.each(["new", "named"])(
    "are admitted up to the bound, and the others told when to come back (%s ids)",
    async (ids) => {
      let live = 0;
      let most = 0;
      const agent = defineAgent({
        name: "A",
        async run(task) {
          most = Math.max(most, ++live);
          await new Promise((resolve) => setTimeout(resolve, 20));
          live--;
          return task;
        },
      });
      await using bounded = new OrchestraInstance({
        topology: { nodes: ["A"] },
        agents: { A: agent },
        maxSessions: 500,
        stateManager: new StateManager({
          storage: new LevelStorage(await temporaryFolder(), { durability: "process" }),
        }),
      });
      const execute = (i: number) => bounded.execute({ task: `${i}`, ...(ids === "named" && { sessionId: `s${i}` }) });
      const settled = await Promise.allSettled(Array.from({ length: 10_000 }, (_, i) => execute(i)));
      const refused = settled.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
      expect(most).toBeLessThanOrEqual(500);
      expect(settled.length - refused.length).toBeGreaterThanOrEqual(500);
      for (const error of refused) {
        if (!isOrchestraError(error, "ORCH_OVERLOADED")) throw error;
        expect(error.details["retryAfterMs"]).toBeGreaterThan(0);
      }
      // Nothing was begun of those, and there is room again.
      const again = settled.findIndex((one) => one.status === "rejected");
      expect((await execute(again)).finalResponse).toBe(`${again}`);
    },
  );
});

describe("those who watch", () => {
  const agents = { A: (_: unknown, ctx: { emit(chunk: unknown): void }) => (many(ctx), "done"), B: (x: unknown) => x };
  function many(ctx: { emit(chunk: unknown): void }): void {
    for (let i = 0; i < 12_000; i++) ctx.emit(i);
  }
  const options = { topology: { nodes: ["A", "B"], edges: ["A -> B"] }, agents };

  it("slowly hold up no run: the oldest events go, and are counted", async () => {
    await using instance = new OrchestraInstance(options);
    const handle = instance.stream({ task: "t" });
    // Nobody reads until the run is over.
    expect((await handle.result).finalResponse).toBe("done");
    const seen: RunEvent[] = [];
    for await (const event of handle) seen.push(event);
    expect(seen.length).toBeLessThanOrEqual(10_000);
    // Each event was seen or counted.
    const chunks = seen.filter(({ type }) => type === "step.chunk").length;
    expect(handle.dropped).toBeGreaterThan(0);
    expect(handle.dropped + chunks).toBeGreaterThanOrEqual(12_000);
    expect(seen.at(-1)?.type).toBe("run.completed");
  });

  it("and throw end neither the process nor the run, and are named in the log", async () => {
    const logged: string[] = [];
    const logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (_: object, message?: string) => void logged.push(message ?? ""),
      child: () => logger,
    };
    let heard = 0;
    await using instance = new OrchestraInstance({
      ...options,
      logger,
      metricsCollector: {
        observe() {
          heard++;
          throw new Error("a listener's own defect");
        },
      },
    });
    for (let run = 0; run < 3; run++) expect((await instance.execute({ task: "t" })).finalResponse).toBe("done");
    expect(heard).toBe(3);
    expect(logged.filter((message) => message.includes("observer threw"))).toHaveLength(3);
  });
});
