import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { createLocalBus } from "../../src/bus/local-bus.ts";
import type { Bus, StepMessage } from "../../src/bus/ports.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import type { AppendRequest, AppendResult, SessionStore } from "../../src/state/ports.ts";
import { code, deferred, request, topology, world } from "./world.ts";

/** The same store under another identity, as a second process would have it; `before` may refuse or crash an append. */
function through(
  store: SessionStore,
  before: (request: AppendRequest) => void = () => undefined,
  after: (request: AppendRequest) => void = () => undefined,
): SessionStore {
  return new Proxy(store, {
    get(target, key) {
      if (key === "append") {
        return async (append: AppendRequest): Promise<AppendResult> => {
          before(append);
          const result = await target.append(append);
          after(append);
          return result;
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A bus whose queue is far: what is asked of it arrives in order, once `arrive` is called. */
function farQueue(): { bus: Bus; arrive(): Promise<void> } {
  const bus = createLocalBus({ clock: systemClock() });
  const { steps } = bus;
  const under: (() => Promise<unknown>)[] = [];
  const later = <T>(act: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => under.push(() => act().then(resolve, reject)));
  return {
    bus: {
      ...bus,
      close: () => bus.close(),
      steps: {
        offer: (step: StepMessage) => later(() => steps.offer(step)),
        withdraw: (sessionId, stepId) => later(() => steps.withdraw(sessionId, stepId)),
        serve: (options) => steps.serve(options),
        depth: (agent) => steps.depth(agent),
      },
    },
    async arrive() {
      for (const act of under.splice(0)) await act();
    },
  };
}

const DIAMOND = topology("S -> A", "S -> B", "A -> J", "B -> J", "J -> E");

function counting(): { calls: string[]; agents: ReturnType<typeof code> } {
  const calls: string[] = [];
  const step = (name: string) => (x: unknown) => {
    calls.push(name);
    return name === "J" ? (x as { value: string }[]).map((one) => one.value).join("+") : `${String(x)}${name}`;
  };
  return { calls, agents: code({ S: step("S"), A: step("A"), B: step("B"), J: step("J"), E: step("E") }) };
}

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

describe("recovery", () => {
  it("continues an interrupted run in a fresh engine, running again only what had no result", async () => {
    const { engine, again } = world();
    const reached = deferred();
    const calls: string[] = [];
    const first = code({
      A: () => {
        calls.push("A");
        return "a";
      },
      B: () => {
        calls.push("B");
        reached.resolve();
        return new Promise(() => undefined);
      },
    });
    const handle = await engine.start(request("t", topology("A -> B"), first));
    await reached.promise;
    await engine.close();
    const later = again().engine;
    const agents = code({
      A: () => "never",
      B: (x) => {
        calls.push("B2");
        return `${x}b`;
      },
    });
    const [recovered] = await later.recover({ code: () => agents });
    const outcome = await recovered!.handle!.outcome;
    expect(outcome.finalResponse).toBe("ab");
    expect(outcome.trace.map((step) => step.node)).toEqual(["A", "B"]);
    expect(recovered).toMatchObject({ sessionId: handle.sessionId, runId: handle.runId, action: "resumed" });
    expect(calls).toEqual(["A", "B", "B2"]);
    await later.close();
  });

  it("leaves a session paused when its agents are not known, so that nothing stays running with nobody behind it", async () => {
    const { engine, again } = world();
    const reached = deferred();
    const handle = await engine.start(
      request("t", topology("A"), {
        A: () => {
          reached.resolve();
          return new Promise(() => undefined);
        },
      }),
    );
    await reached.promise;
    await engine.close();
    const later = again().engine;
    expect(await later.recover()).toMatchObject([{ sessionId: handle.sessionId, action: "left" }]);
    expect((await later.getSession(handle.sessionId))?.status).toBe("paused");
    const outcome = await (await later.resume(handle.sessionId, { code: code({ A: () => "done" }) })).outcome;
    expect(outcome.finalResponse).toBe("done");
    await later.close();
  });

  it("does not take sessions that another engine on the same store is running", async () => {
    const { engine, again } = world();
    const gate = deferred();
    const handle = await engine.start(
      request("t", topology("A"), {
        A: async () => {
          await gate.promise;
          return 1;
        },
      }),
    );
    const other = again().engine;
    expect(await other.recover({ code: () => code({ A: () => 2 }) })).toEqual([]);
    gate.resolve();
    expect((await handle.outcome).finalResponse).toBe(1);
    await other.close();
    await engine.close();
  });

  it.each(["memory", "level"])(
    "gives the same result wherever the %s store dies, before or after each append",
    async (kind) => {
      for (const side of ["before", "after"] as const) {
        for (let fatal = 1; ; fatal++) {
          const open = async (): Promise<SessionStore> => {
            if (kind === "memory") return memoryStorage();
            const { LevelStorage } = await import("../../src/state/level-store.ts");
            const folder = await mkdtemp(join(tmpdir(), "engine-"));
            folders.push(folder);
            return new LevelStorage(folder, { durability: "process" });
          };
          const store = await open();
          let appends = 0;
          const crash = (): void => {
            if (++appends === fatal) throw new Error("power cut");
          };
          const dying = side === "before" ? through(store, crash) : through(store, undefined, crash);
          const { engine, again } = world({ store: dying });
          const { calls, agents } = counting();
          const started = await engine.start(request("t", DIAMOND, agents, { sessionId: "s" })).then(
            (handle) =>
              handle.outcome.then(
                (outcome) => outcome,
                (error: unknown) => error,
              ),
            (error: unknown) => error,
          );
          await engine.close();
          if (!(started instanceof Error)) {
            expect(appends).toBeLessThan(fatal);
            await store.close();
            break;
          }
          expect(started).toMatchObject({ code: "ORCH_STORE_FAILED" });
          const later = again({ store }).engine;
          const [recovered] = await later.recover({ code: () => agents });
          if (recovered === undefined) {
            const entry = await later.getSession("s");
            if (entry === null) expect([side, fatal]).toEqual(["before", 1]);
            else expect(entry.status).toBe("completed");
          } else {
            const outcome = await recovered.handle!.outcome;
            expect(outcome.finalResponse).toBe("tSA+tSBE");
            expect(outcome.trace.map((step) => step.node).toSorted()).toEqual(["A", "B", "E", "J", "S"]);
          }
          expect(calls.length).toBeLessThanOrEqual(7);
          await later.close();
          await store.close();
        }
      }
    },
  );

  // The step was offered again, its result from before ended the run, and the offer came into a queue that nobody serves.
  it("leaves no step on the bus whose result was there before", async () => {
    const { bus, arrive } = farQueue();
    let refusals = 0;
    const refusing = through(memoryStorage(), ({ commit }) => {
      if (commit.n === 2 && refusals++ === 0) throw new Error("no space left on device");
    });
    const { engine } = world({ bus, store: refusing });
    const calls: unknown[] = [];
    const agents = code({ A: (x) => calls.push(x) });
    const handle = await engine.start(request("t", topology("A"), agents));
    await arrive();
    await expect(handle.outcome).rejects.toMatchObject({ code: "ORCH_STORE_FAILED" });
    const resumed = await engine.resume(handle.sessionId, { code: agents });
    expect((await resumed.outcome).status).toBe("completed");
    await arrive();
    expect(bus.steps.depth()).toBe(0);
    expect(calls).toEqual(["t"]);
    await engine.close();
  });

  it("records each step once, whatever was re-run", async () => {
    const { engine, again } = world();
    const reached = deferred();
    const stuck = code({
      A: (x) => x,
      B: () => {
        reached.resolve();
        return new Promise(() => undefined);
      },
    });
    const handle = await engine.start(request("t", topology("A -> B"), stuck));
    await reached.promise;
    await engine.close();
    const later = again().engine;
    await (
      await later.resume(handle.sessionId, { code: code({ A: (x) => x, B: (x) => x }) })
    ).outcome;
    const succeeded = [];
    for await (const event of later.events(handle.sessionId, { untilSettled: true }))
      if (event.type === "step.succeeded") succeeded.push(event.stepId);
    expect(succeeded).toHaveLength(2);
    expect(new Set(succeeded).size).toBe(2);
    await later.close();
  });

  it("does not repeat what ctx.once recorded, over retries, resumes and crashes", async () => {
    const { engine, again } = world();
    const charges: string[] = [];
    const reached = deferred();
    const agents = (last: () => unknown) =>
      code({
        A: async (_x, ctx) => {
          const receipt = await ctx.once("charge", () => {
            charges.push(`${ctx.attempt}`);
            return { receipt: charges.length };
          });
          if (ctx.attempt === 1) throw Object.assign(new Error("flaky"), { retryable: true });
          await last();
          return receipt;
        },
      });
    const handle = await engine.start(
      request(
        "t",
        topology("A"),
        agents(() => {
          reached.resolve();
          return new Promise(() => undefined);
        }),
      ),
    );
    await reached.promise;
    await engine.close();
    const later = again().engine;
    const outcome = await (await later.resume(handle.sessionId, { code: agents(() => undefined) })).outcome;
    expect(outcome.finalResponse).toEqual({ receipt: 1 });
    expect(charges).toEqual(["1"]);
    await later.close();
  });

  it("gives the same promise to two calls of once under one key, and tries again when the first failed", async () => {
    const { engine } = world();
    let calls = 0;
    const agents = code({
      A: async (_x, ctx) => {
        await ctx
          .once("k", () => {
            calls++;
            throw new Error("no");
          })
          .catch(() => undefined);
        return Promise.all([ctx.once("k", () => ++calls), ctx.once("k", () => ++calls)]);
      },
    });
    const outcome = await (await engine.start(request("t", topology("A"), agents))).outcome;
    expect(outcome.finalResponse).toEqual([2, 2]);
    await engine.close();
  });

  it("commits writes of ctx.state with the result only: those of a failed attempt are gone", async () => {
    const { engine } = world();
    const agents = code({
      A: (_x, ctx) => {
        const before = ctx.state.get("n") ?? "nothing";
        ctx.state.set("n", `attempt ${ctx.attempt}`);
        if (ctx.attempt === 1) throw Object.assign(new Error("flaky"), { retryable: true });
        return [before, ctx.state.get("n"), ctx.state.keys()];
      },
    });
    const outcome = await (await engine.start(request("t", topology("A"), agents))).outcome;
    expect(outcome.finalResponse).toEqual(["nothing", "attempt 2", ["n"]]);
    await engine.close();
  });

  it("is fenced when another owner took the session over: it stops acting, and its caller gets the other's outcome", async () => {
    const store = memoryStorage();
    const { engine, again } = world({ store: through(store) });
    const gate = deferred();
    const reached = deferred();
    let aborted = false;
    const handle = await engine.start(
      request("t", topology("A -> B"), {
        A: async (_x, ctx) => {
          ctx.signal.addEventListener("abort", () => {
            aborted = true;
          });
          reached.resolve();
          await gate.promise;
          return "old";
        },
        B: (x) => `${x} B`,
      }),
    );
    await reached.promise;
    const other = again({ store: through(store) }).engine;
    const taken = await other.resume(handle.sessionId, { code: code({ A: () => "new", B: (x) => `${x} B` }) });
    expect((await taken.outcome).finalResponse).toBe("new B");
    gate.resolve();
    const outcome = await handle.outcome;
    expect(outcome.finalResponse).toBe("new B");
    expect(aborted).toBe(false);
    await other.close();
    await engine.close();
  });

  it.each(["resumes it", "asks for the same run"])(
    "gives who %s the outcome when another owner was quicker",
    async (how) => {
      const store = memoryStorage();
      const first = world({ store: through(store) });
      const run = request("t", topology("A"), { A: () => new Promise(() => undefined) }, { idempotencyKey: "k" });
      const { sessionId, runId } = await first.engine.start({ ...run, sessionId: "s" });
      await first.engine.close();
      const quicker = first.again({ store: through(store) }).engine;
      const agents = code({ A: () => "done" });
      let taken: Promise<unknown> | undefined;
      const raced = through(store);
      const slower = first.again({
        store: new Proxy(raced, {
          get(target, key) {
            if (key !== "append") return Reflect.get(target, key, target) as unknown;
            return async (append: AppendRequest): Promise<AppendResult> => {
              await (taken ??= quicker.resume(sessionId, { code: agents, context: { k: 1 } }));
              return target.append(append);
            };
          },
        }),
      }).engine;
      const handle =
        how === "resumes it"
          ? await slower.resume(sessionId, { code: agents })
          : await slower.start({ ...run, sessionId, code: agents });
      expect(handle).toMatchObject({ sessionId, runId });
      expect((await handle.outcome).finalResponse).toBe("done");
      await Promise.all([quicker.close(), slower.close()]);
    },
  );

  it("cancels a run that another owner took over, when it learns of that by the cancel", async () => {
    const store = memoryStorage();
    const { engine, again } = world({ store: through(store) });
    const agents = code({
      A: async (_x, ctx) => new Promise((resolve) => ctx.signal.addEventListener("abort", resolve)),
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    const other = again({ store: through(store) }).engine;
    await other.resume(handle.sessionId, { code: agents });
    expect(await engine.cancel(handle.sessionId, "enough")).toBe(true);
    expect((await handle.outcome).status).toBe("cancelled");
    await Promise.all([other.close(), engine.close()]);
  });

  it("aborts its steps in flight when it finds itself fenced", async () => {
    const store = memoryStorage();
    const { engine, again } = world({ store: through(store) });
    const gate = deferred();
    const seen = deferred<unknown>();
    const handle = await engine.start(
      request("t", topology("S -> A", "S -> B"), {
        S: (x) => x,
        A: async () => {
          await gate.promise;
          return "a";
        },
        B: (_x, ctx) => {
          ctx.signal.addEventListener("abort", () => seen.resolve(ctx.signal.reason));
          return new Promise(() => undefined);
        },
      }),
    );
    for await (const event of engine.events(handle.sessionId))
      if (event.type === "step.started" && event.node === "B") break;
    await new Promise((resolve) => setImmediate(resolve));
    const other = again({ store: through(store) }).engine;
    const taken = await other.resume(handle.sessionId, { code: code({ S: (x) => x, A: () => 1, B: () => 2 }) });
    await taken.outcome;
    gate.resolve();
    expect(await seen.promise).toMatchObject({ details: { reason: "fenced" } });
    expect((await handle.outcome).finalResponse).toEqual([1, 2]);
    await other.close();
    await engine.close();
  });

  it("keeps going over a snapshot: long loops replay from it and give the whole trace", async () => {
    const { engine, again, store } = world();
    const reached = deferred();
    const loop = topology({ edge: "A -> A", condition: "more" }, { edge: "A -> B", else: true });
    const make = (stop: boolean) =>
      code({
        A: (x: { n?: number } | number) => {
          const n = typeof x === "number" ? x : x.n! + 1;
          return { n, status: n < 700 ? "more" : "done" };
        },
        B: (x: { n: number }) => {
          if (stop) {
            reached.resolve();
            return new Promise(() => undefined);
          }
          return x.n;
        },
      });
    const { LIMITS } = await import("./world.ts");
    const handle = await engine.start(request(0, loop, make(true), { limits: { ...LIMITS, maxSteps: 1_000 } }));
    await reached.promise;
    await engine.close();
    expect((await store.latestSnapshot(handle.sessionId))?.n).toBeGreaterThan(400);
    const later = again().engine;
    const outcome = await (await later.resume(handle.sessionId, { code: make(false) })).outcome;
    expect(outcome.finalResponse).toBe(700);
    expect(outcome.trace).toHaveLength(702);
    await later.close();
  });
});
