// Whole runs on a clock that stands still until told: hours pass here in milliseconds, and never early.

import { describe, expect, it } from "vitest";
import { SimClock } from "../../src/testing/sim-clock.ts";
import { code, LIMITS, request, RETRY, topology, world } from "./world.ts";

const HOUR = 3_600_000;

function simulated() {
  const clock = new SimClock();
  return { ...world({ clock }), clock };
}

async function isOver(outcome: Promise<unknown>): Promise<boolean> {
  const open = Symbol("open");
  return (await Promise.race([outcome, Promise.resolve(open)])) !== open;
}

describe("on a simulated clock", () => {
  it("a step is tried again when its back-off is over, not before", async () => {
    const { clock, engine } = simulated();
    const retry = {
      ...RETRY,
      transient: { maxAttempts: 3, initialDelayMs: HOUR, maxDelayMs: 10 * HOUR, factor: 3, jitter: 0 },
    };
    const atMs: number[] = [];
    const agents = code(
      {
        A: () => {
          atMs.push(clock.monotonicMs());
          if (atMs.length < 3) throw Object.assign(new Error("busy"), { status: 503 });
          return "done";
        },
      },
      { retry },
    );
    const { outcome } = await engine.start(request("t", topology("A"), agents));
    await clock.advance(HOUR - 1);
    expect(atMs).toEqual([0]);
    await clock.advance(1);
    expect(atMs).toEqual([0, HOUR]);
    await clock.advance(3 * HOUR);
    expect((await outcome).finalResponse).toBe("done");
    expect(atMs).toEqual([0, HOUR, 4 * HOUR]);
    expect((await outcome).endedAtMs - (await outcome).startedAtMs).toBe(4 * HOUR);
    await engine.close();
    expect(clock.pending()).toEqual([]);
  });

  it("a step that does not end is stopped at its time limit", async () => {
    const { clock, engine } = simulated();
    const stopped: unknown[] = [];
    const { outcome } = await engine.start(
      request(
        "t",
        topology("A"),
        {
          A: (_x, ctx) =>
            new Promise((_resolve, reject) =>
              ctx.signal.addEventListener("abort", () => {
                stopped.push(clock.monotonicMs());
                reject(new Error("stopped"));
              }),
            ),
        },
        { limits: { ...LIMITS, stepTimeoutMs: 2 * HOUR } },
      ),
    );
    await clock.advance(2 * HOUR - 1);
    expect(stopped).toEqual([]);
    expect(await isOver(outcome)).toBe(false);
    await clock.advance(1);
    expect(await outcome).toMatchObject({ status: "failed", error: { code: "ORCH_TIMEOUT" } });
    expect(stopped).toEqual([2 * HOUR]);
    await engine.close();
    expect(clock.pending()).toEqual([]);
  });

  it("a join opens with what has arrived when its time is up", async () => {
    const { clock, engine } = simulated();
    const { outcome } = await engine.start(
      request(
        "t",
        topology("S -> A", "S -> B", "A -> J", "B -> J"),
        {
          S: (x) => x,
          A: () => "fast",
          B: () => new Promise(() => undefined),
          J: (x) => x.map((one: { value: unknown }) => one.value),
        },
        {
          limits: {
            ...LIMITS,
            stepTimeoutMs: 100 * HOUR,
            convergenceTimeoutMs: HOUR,
            convergencePolicy: { onInsufficient: "proceed" },
          },
        },
      ),
    );
    await clock.advance(HOUR - 1);
    expect(await isOver(outcome)).toBe(false);
    await clock.advance(1);
    expect((await outcome).finalResponse).toEqual(["fast"]);
    await engine.close();
    expect(clock.pending()).toEqual([]);
  });

  it("a pause stops the clocks of a run: what was left of a time limit is left when it is resumed", async () => {
    const { clock, engine } = simulated();
    const gate = code({
      S: (x) => x,
      A: () => "fast",
      B: (_x, ctx) =>
        new Promise((_resolve, reject) => ctx.signal.addEventListener("abort", () => reject(new Error("stopped")))),
      J: (x) => x.map((one: { value: unknown }) => one.value),
    });
    const limits = {
      ...LIMITS,
      stepTimeoutMs: 100 * HOUR,
      convergenceTimeoutMs: HOUR,
      convergencePolicy: { onInsufficient: "proceed" as const },
    };
    const handle = await engine.start(request("t", topology("S -> A", "S -> B", "A -> J", "B -> J"), gate, { limits }));
    await clock.advance(HOUR / 2);
    await engine.pause(handle.sessionId, "lunch", "abort");
    expect((await handle.outcome).status).toBe("paused");
    await clock.advance(24 * HOUR);
    const { outcome } = await engine.resume(handle.sessionId, {});
    await clock.advance(HOUR / 2 - 1);
    expect(await isOver(outcome)).toBe(false);
    await clock.advance(1);
    expect((await outcome).finalResponse).toEqual(["fast"]);
    await engine.close();
    expect(clock.pending()).toEqual([]);
  });

  it("draining waits for steps in flight up to its limit, and leaves the rest to be resumed", async () => {
    const { clock, engine, again } = simulated();
    const agents = (b: () => unknown) => code({ A: () => "a", B: b, C: (x) => `${x}c` });
    const handle = await engine.start(
      request(
        "t",
        topology("A -> B -> C"),
        agents(() => new Promise(() => undefined)),
      ),
    );
    await clock.settle();
    const drained = engine.drain({ timeoutMs: 10_000 });
    await expect(
      engine.start(
        request(
          "t",
          topology("C"),
          agents(() => 1),
        ),
      ),
    ).rejects.toMatchObject({ code: "ORCH_DRAINING" });
    await clock.advance(9_000);
    expect(await isOver(drained)).toBe(false);
    expect(await isOver(handle.outcome)).toBe(false);
    await clock.advance(1_100);
    await drained;
    expect((await handle.outcome).status).toBe("running");
    await engine.close();
    const later = again().engine;
    const resumed = await later.resume(handle.sessionId, { code: agents(() => "b") });
    expect((await resumed.outcome).finalResponse).toBe("bc");
    expect((await resumed.outcome).trace.map((step) => step.node)).toEqual(["A", "B", "C"]);
    await later.close();
    expect(clock.pending()).toEqual([]);
  });

  it("draining ends as soon as the steps in flight have", async () => {
    const { clock, engine } = simulated();
    const handle = await engine.start(
      request("t", topology("A -> B"), {
        A: () => new Promise((resolve) => clock.setTimer(3_000, () => resolve("a"))),
        B: (x) => x,
      }),
    );
    await clock.settle();
    const drained = engine.drain({ timeoutMs: HOUR });
    await clock.advance(4_000);
    await drained;
    expect((await handle.outcome).trace.map((step) => step.output)).toEqual(["a"]);
    await engine.close();
    expect(clock.pending()).toEqual([]);
  });
});
