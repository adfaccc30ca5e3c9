import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/base/clock.ts";
import { Deadlines } from "../../src/runtime/deadlines.ts";

/** A clock moved by hand. */
function handClock(): Clock & { advance(ms: number): void; armed(): number } {
  let now = 0;
  const timers = new Map<object, { at: number; fire: () => void }>();
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    setTimer(delayMs, fire) {
      const key = {};
      timers.set(key, { at: now + delayMs, fire });
      return () => timers.delete(key);
    },
    advance(ms) {
      const until = now + ms;
      for (;;) {
        const due = [...timers].filter(([, { at }]) => at <= until).toSorted((a, b) => a[1].at - b[1].at)[0];
        if (due === undefined) break;
        timers.delete(due[0]);
        now = Math.max(now, due[1].at);
        due[1].fire();
      }
      now = until;
    },
    armed: () => timers.size,
  };
}

describe("deadlines", () => {
  it("fire once, when due, in order, and never after they were cleared", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ delay: fc.integer({ min: 0, max: 1_000 }), clear: fc.boolean() }), { maxLength: 300 }),
        (plan) => {
          const clock = handClock();
          const deadlines = new Deadlines(clock, () => undefined);
          const fired: number[] = [];
          const set = plan.map(({ delay }) =>
            deadlines.after(delay, () => {
              expect(clock.monotonicMs()).toBeGreaterThanOrEqual(delay);
              fired.push(delay);
            }),
          );
          for (const [i, { clear }] of plan.entries()) if (clear) deadlines.clear(set[i]!);
          expect(clock.armed()).toBeLessThanOrEqual(1);
          clock.advance(2_000);
          expect(fired).toEqual(
            plan
              .filter(({ clear }) => !clear)
              .map(({ delay }) => delay)
              .toSorted((a, b) => a - b),
          );
          expect(clock.armed()).toBe(0);
        },
      ),
    );
  });

  it("leave no timer behind once the last session lets go", () => {
    const clock = handClock();
    const deadlines = new Deadlines(clock, () => undefined);
    deadlines.retain();
    for (let i = 0; i < 1_000; i++) deadlines.clear(deadlines.after(120_000, () => undefined));
    expect(clock.armed()).toBe(1);
    deadlines.release();
    expect(clock.armed()).toBe(0);
  });

  it("go on when a callback throws, and report it", () => {
    const clock = handClock();
    const errors: unknown[] = [];
    const deadlines = new Deadlines(clock, (error) => errors.push(error));
    let fired = 0;
    deadlines.after(1, () => {
      throw new Error("callback");
    });
    deadlines.after(1, () => fired++);
    clock.advance(5);
    expect([fired, errors.length]).toEqual([1, 1]);
  });
});
