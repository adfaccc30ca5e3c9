import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";

describe("systemClock", () => {
  it("tells the wall clock, and a second time that never runs backwards", () => {
    const clock = systemClock();
    const before = Date.now();
    const nowMs = clock.nowMs();
    expect(nowMs).toBeGreaterThanOrEqual(before);
    expect(nowMs).toBeLessThanOrEqual(Date.now());
    let lastMs = clock.monotonicMs();
    for (let i = 0; i < 1_000; i++) {
      const nextMs = clock.monotonicMs();
      expect(nextMs).toBeGreaterThanOrEqual(lastMs);
      lastMs = nextMs;
    }
  });

  it("fires a timer once, later than the call that set it, the shorter one first", async () => {
    const clock = systemClock();
    const fired: string[] = [];
    await new Promise<void>((resolve) => {
      clock.setTimer(30, () => {
        fired.push("late");
        resolve();
      });
      clock.setTimer(0, () => fired.push("soon"));
      clock.setTimer(-5, () => fired.push("overdue"));
      expect(fired).toEqual([]);
    });
    expect(fired).toEqual(["soon", "overdue", "late"]);
  });

  it("fires no timer that was cancelled, and takes a second cancelling", async () => {
    const clock = systemClock();
    const fired: string[] = [];
    const cancel = clock.setTimer(1, () => fired.push("cancelled"));
    cancel();
    cancel();
    await new Promise<void>((resolve) => clock.setTimer(10, resolve));
    expect(fired).toEqual([]);
  });

  it("does not fire a timer of more than 2^31 ms at once, as Node's would", async () => {
    const clock = systemClock();
    const fired: string[] = [];
    const cancel = clock.setTimer(2 ** 31 + 1_000, () => fired.push("far"));
    await new Promise<void>((resolve) => clock.setTimer(20, resolve));
    cancel();
    expect(fired).toEqual([]);
  });
});
