import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { AgentPool } from "../../src/agents/agent-pool.ts";
import type { Clock } from "../../src/base/clock.ts";
import { Orchestra } from "../../src/runtime/orchestra.ts";

const echo = (): ((input: unknown) => unknown) => (input) => input;

/** A clock that moves when told to. */
function handClock(): Clock & { advance(ms: number): void } {
  let now = 0;
  const timers = new Set<{ at: number; fire: () => void }>();
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    setTimer(delayMs, fire) {
      const timer = { at: now + delayMs, fire };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(ms) {
      now += ms;
      for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.fire();
    },
  };
}

describe("AgentPool", () => {
  it("makes instances when first needed, and lends them again", async () => {
    const made: number[] = [];
    const pool = new AgentPool({
      name: "P",
      size: 2,
      create: (index) => (made.push(index), (input: unknown) => input),
    });
    expect(made).toEqual([]);
    const first = await pool.acquire();
    first.release();
    const second = await pool.acquire();
    expect(second.instance).toBe(first.instance);
    expect(made).toEqual([0]);
    second.release();
    second.release();
    expect(pool.statistics()).toMatchObject({ size: 2, created: 1, inUse: 0, idle: 1, leases: 2, peakInUse: 1 });
  });

  it("serves who waits in the order of asking", async () => {
    const pool = new AgentPool({ name: "P", size: 1, create: echo });
    const held = await pool.acquire();
    const order: string[] = [];
    const later = ["a", "b", "c"].map(async (name) => {
      const lease = await pool.acquire();
      order.push(name);
      lease.release();
    });
    expect(pool.statistics().waiting).toBe(3);
    held.release();
    await Promise.all(later);
    expect(order).toEqual(["a", "b", "c"]);
  });

  it("gives the instance back when the agent throws", async () => {
    const pool = new AgentPool({ name: "P", size: 1, create: () => () => Promise.reject(new Error("no")) });
    const ctx = { signal: new AbortController().signal } as never;
    await expect(pool.run("x", ctx)).rejects.toThrow("no");
    await expect(pool.run("x", ctx)).rejects.toThrow("no");
    expect(pool.statistics()).toMatchObject({ inUse: 0, idle: 1 });
  });

  it("refuses with ORCH_POOL_TIMEOUT when nothing comes free in time", async () => {
    const clock = handClock();
    const pool = new AgentPool({ name: "P", size: 1, create: echo, acquireTimeoutMs: 50, clock });
    const held = await pool.acquire();
    const waiting = pool.acquire();
    clock.advance(50);
    await expect(waiting).rejects.toMatchObject({ code: "ORCH_POOL_TIMEOUT", details: { pool: "P", size: 1 } });
    expect(pool.statistics()).toMatchObject({ timeouts: 1, waiting: 0 });
    held.release();
    (await pool.acquire()).release();
  });

  it("refuses at once when the line is full", async () => {
    const pool = new AgentPool({ name: "P", size: 1, create: echo, waitersMax: 1 });
    const held = await pool.acquire();
    const waiting = pool.acquire();
    await expect(pool.acquire()).rejects.toMatchObject({ code: "ORCH_OVERLOADED" });
    held.release();
    (await waiting).release();
  });

  it("stops waiting when the step is aborted", async () => {
    const pool = new AgentPool({ name: "P", size: 1, create: echo });
    const held = await pool.acquire();
    const abort = new AbortController();
    const waiting = pool.acquire({ signal: abort.signal });
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: "ORCH_CANCELLED" });
    held.release();
    expect(pool.statistics()).toMatchObject({ inUse: 0, waiting: 0 });
  });

  it("gives up an instance that goes on long after its step was aborted, and lends another", async () => {
    const clock = handClock();
    const disposed: unknown[] = [];
    const seen: number[] = [];
    // It remembers, heeds no signal, and its first instance never ends.
    const pool = new AgentPool({
      name: "Remembers",
      size: 1,
      abandonAfterMs: 1_000,
      clock,
      create: (index) => () => (seen.push(index), index === 0 ? new Promise(() => undefined) : `from ${index}`),
      dispose: (instance) => void disposed.push(instance),
    });
    const run = (executionConfig = {}) =>
      Orchestra.run({ task: "x", topology: { nodes: ["A"] }, agents: { A: pool }, executionConfig });
    expect((await run({ stepTimeoutMs: 30 })).error).toMatchObject({ code: "ORCH_TIMEOUT" });
    expect(pool.statistics()).toMatchObject({ inUse: 1, abandoned: 0 });
    clock.advance(999);
    expect(pool.statistics()).toMatchObject({ inUse: 1, abandoned: 0 });
    clock.advance(1);
    expect(pool.statistics()).toMatchObject({ inUse: 0, abandoned: 1, created: 0 });
    expect((await run()).orThrow().finalResponse).toBe("from 1");
    expect(seen).toEqual([0, 1]);
    await pool.cleanup();
    expect(disposed).toHaveLength(2);
  });

  it("keeps an instance that ends soon after its step was aborted", async () => {
    const clock = handClock();
    let end = (): void => undefined;
    const pool = new AgentPool({
      name: "P",
      size: 1,
      clock,
      create: () => () => new Promise<void>((resolve) => (end = resolve)),
    });
    const abort = new AbortController();
    const running = pool.run("x", { signal: abort.signal } as never);
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    end();
    await running;
    clock.advance(60_000);
    expect(pool.statistics()).toMatchObject({ inUse: 0, idle: 1, abandoned: 0 });
  });

  it("never runs a pool of one twice at once, so that what it remembers stays whole", async () => {
    const pool = new AgentPool({
      name: "Counter",
      size: 1,
      create: () => {
        let count = 0;
        return async () => {
          const before = count;
          await new Promise((resolve) => setImmediate(resolve));
          count = before + 1;
          return count;
        };
      },
    });
    const results = await Promise.all(
      Array.from({ length: 8 }, () => Orchestra.run({ task: "x", topology: { nodes: ["A"] }, agents: { A: pool } })),
    );
    expect(results.map((result) => result.finalResponse).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await pool.cleanup();
  });

  it("lets the next in line try when making an instance fails", async () => {
    let calls = 0;
    const pool = new AgentPool({
      name: "P",
      size: 1,
      create: () => {
        if (calls++ === 0) throw new Error("not yet");
        return (input: unknown) => input;
      },
    });
    await expect(pool.acquire()).rejects.toThrow("not yet");
    (await pool.acquire()).release();
    expect(pool.statistics()).toMatchObject({ created: 1, inUse: 0 });
  });

  it("cleans up: refuses who waits, waits for what is lent, disposes each instance once", async () => {
    const disposed: number[] = [];
    const pool = new AgentPool({
      name: "P",
      size: 2,
      create: (index) => Object.assign((input: unknown) => input, { index }),
      dispose: (instance) => void disposed.push(instance.index),
    });
    const [one, two] = [await pool.acquire(), await pool.acquire()];
    const waiting = pool.acquire();
    one.release();
    (await waiting).release();
    const late = (await Promise.all([pool.acquire()]))[0];
    const refused = pool.acquire();
    const done = pool.cleanup();
    expect(pool.cleanup()).toBe(done);
    await expect(refused).rejects.toMatchObject({ code: "ORCH_CLOSED" });
    expect(disposed).toEqual([]);
    two.release();
    late?.release();
    await done;
    expect(disposed.sort()).toEqual([0, 1]);
    await expect(pool.acquire()).rejects.toMatchObject({ code: "ORCH_CLOSED" });
  });

  it("reports every instance that could not be disposed", async () => {
    const pool = new AgentPool({ name: "P", size: 2, create: echo, dispose: () => Promise.reject(new Error("stuck")) });
    const leases = [await pool.acquire(), await pool.acquire()];
    for (const lease of leases) lease.release();
    await expect(pool.cleanup()).rejects.toMatchObject({ errors: [expect.any(Error), expect.any(Error)] });
  });

  it("replaces an instance that came back broken", async () => {
    const disposed: unknown[] = [];
    const pool = new AgentPool({
      name: "P",
      size: 1,
      create: echo,
      dispose: (instance) => void disposed.push(instance),
    });
    const first = await pool.acquire();
    first.release({ broken: true });
    const second = await pool.acquire();
    expect(second.instance).not.toBe(first.instance);
    second.release();
    await pool.cleanup();
    expect(disposed).toEqual([first.instance, second.instance]);
  });

  it("never lends more than its size, nor one instance twice, whatever the order of coming and going", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.boolean(), { maxLength: 60 }),
        async (size, moves) => {
          const pool = new AgentPool({ name: "P", size, create: echo, acquireTimeoutMs: false });
          const out = new Set<unknown>();
          const open: { release(): void; instance: unknown }[] = [];
          const pending: Promise<void>[] = [];
          const takeOne = async (): Promise<void> => {
            const lease = await pool.acquire();
            expect(out.has(lease.instance)).toBe(false);
            out.add(lease.instance);
            open.push(lease);
            expect(open.length).toBeLessThanOrEqual(size);
          };
          for (const take of moves) {
            if (take) pending.push(takeOne());
            else giveOne();
            await Promise.resolve();
          }
          while (pool.statistics().waiting > 0 || pool.statistics().inUse > 0) {
            giveOne();
            await new Promise(setImmediate);
          }
          await Promise.all(pending);

          function giveOne(): void {
            const lease = open.shift();
            if (lease === undefined) return;
            out.delete(lease.instance);
            lease.release();
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([
    [{ name: "", size: 1 }, "name"],
    [{ name: "P", size: 0 }, "size"],
    [{ name: "P", size: 1, create: 1 }, "create"],
    [{ name: "P", size: 1, acquireTimeoutMs: 0 }, "acquireTimeoutMs"],
    [{ name: "P", size: 1, waiters: 5 }, "waiters"],
  ])("refuses %j", (options, field) => {
    expect(() => new AgentPool({ create: echo, ...options } as never)).toThrowError(
      expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.stringContaining(field) }),
    );
  });
});
