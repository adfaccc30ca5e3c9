import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SimClock } from "../../src/testing/index.ts";

describe("SimClock", () => {
  it("stands still until it is advanced", async () => {
    const clock = new SimClock({ startMs: 5_000 });
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([5_000, 0]);
    await clock.settle();
    expect(clock.nowMs()).toBe(5_000);
    await clock.advance(250);
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([5_250, 250]);
    await clock.advanceTo(6_000);
    expect(clock.nowMs()).toBe(6_000);
    await clock.advanceTo(1_000);
    expect(clock.nowMs()).toBe(6_000);
  });

  it("fires timers by due time, then by order of setting, each at its own time", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 20 }), { maxLength: 30 }), async (delays) => {
        const clock = new SimClock({ startMs: 0 });
        const fired: [number, number][] = [];
        for (const [i, delayMs] of delays.entries()) clock.setTimer(delayMs, () => fired.push([clock.nowMs(), i]));
        await clock.advance(20);
        expect(fired).toEqual(
          delays.map((delayMs, i): [number, number] => [delayMs, i]).sort(([a, i], [b, j]) => a - b || i - j),
        );
        expect(clock.pending()).toEqual([]);
      }),
    );
  });

  it("lets promise jobs run to their end between two timers", async () => {
    const clock = new SimClock();
    const order: string[] = [];
    clock.setTimer(10, () => {
      void (async () => {
        for (let i = 0; i < 100; i++) await Promise.resolve();
        order.push("work of the first");
      })();
    });
    clock.setTimer(10, () => order.push("second"));
    await clock.advance(10);
    expect(order).toEqual(["work of the first", "second"]);
  });

  it("fires timers that are set on the way, when they fall due within the same advance", async () => {
    const clock = new SimClock();
    const atMs: number[] = [];
    const again = (): void => {
      atMs.push(clock.monotonicMs());
      clock.setTimer(100, again);
    };
    clock.setTimer(100, again);
    await clock.advance(350);
    expect(atMs).toEqual([100, 200, 300]);
  });

  it("fires no cancelled timer, and none early", async () => {
    const clock = new SimClock();
    const fired: string[] = [];
    const cancel = clock.setTimer(5, () => fired.push("cancelled"));
    clock.setTimer(11, () => fired.push("later"));
    cancel();
    cancel();
    await clock.advance(10);
    expect(fired).toEqual([]);
  });

  it("moves only the wall clock on a jump", async () => {
    const clock = new SimClock({ startMs: 1_000 });
    let fired = false;
    clock.setTimer(100, () => (fired = true));
    clock.jump(3_600_000);
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([3_601_000, 0]);
    await clock.advance(99);
    expect(fired).toBe(false);
    clock.jump(-7_200_000);
    await clock.advance(1);
    expect(fired).toBe(true);
  });

  it("lists the timers that have not fired and where they were set", () => {
    const clock = new SimClock();
    clock.setTimer(200, () => undefined);
    clock.setTimer(100, () => undefined);
    expect(clock.pending().map((timer) => timer.inMs)).toEqual([100, 200]);
    expect(clock.pending()[0]?.setAt).toContain("sim-clock.test.ts");
  });

  it("gives out what a timer throws, and goes on from there", async () => {
    const clock = new SimClock();
    let fired = false;
    clock.setTimer(1, () => {
      throw new Error("timer broke");
    });
    clock.setTimer(2, () => (fired = true));
    await expect(clock.advance(5)).rejects.toThrow("timer broke");
    expect(clock.monotonicMs()).toBe(1);
    await clock.advance(1);
    expect(fired).toBe(true);
  });

  it("refuses to be advanced backwards or twice at once", async () => {
    const clock = new SimClock();
    await expect(clock.advance(-1)).rejects.toThrow(TypeError);
    const first = clock.advance(1);
    await expect(clock.advance(1)).rejects.toThrow(/already being advanced/);
    await first;
  });
});
