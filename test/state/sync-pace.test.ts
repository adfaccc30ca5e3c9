import { describe, expect, it } from "vitest";
import { SyncPace } from "../../src/state/sync-pace.ts";

/** A disk that takes what it is told to; notes how it was waited for. */
function disk(tookMs: number) {
  const state = { tookMs, ways: [] as string[], nowMs: 0 };
  const answer = (way: string): void => {
    state.ways.push(way);
    state.nowMs += state.tookMs;
  };
  const pace = new SyncPace({
    inPlace: () => answer("in place"),
    aside: async () => answer("aside"),
    nowMs: () => state.nowMs,
  });
  return { state, pace, wait: (times: number) => waits(pace, times) };
}

async function waits(pace: SyncPace, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await pace.wait(3);
}

describe("waiting for a disk", () => {
  it("is in place where the first answer was quick", async () => {
    const { state, wait } = disk(0.2);
    await wait(4);
    expect(state.ways).toEqual(["aside", "in place", "in place", "in place"]);
  });

  it("is aside for as long as the disk is slow", async () => {
    const { state, wait } = disk(5);
    await wait(300);
    expect(state.ways.filter((way) => way === "in place")).toEqual([]);
  });

  it("stops the program for one slow answer at most, and comes back to a disk that is quick again", async () => {
    const { state, wait } = disk(0.2);
    await wait(10);
    state.tookMs = 40;
    state.ways = [];
    await wait(60);
    expect(state.ways.filter((way) => way === "in place")).toHaveLength(1);
    state.tookMs = 0.2;
    await wait(10);
    expect(state.ways.at(-1)).toBe("in place");
  });

  it("passes on what the disk answers, either way", async () => {
    const failing = new SyncPace({
      inPlace: () => {
        throw new Error("EIO in place");
      },
      aside: () => Promise.reject(new Error("EIO aside")),
      nowMs: () => 0,
    });
    await expect(failing.wait(3)).rejects.toThrow("EIO aside");
    let broken = false;
    const breaking = new SyncPace({
      inPlace: () => {
        if (broken) throw new Error("EIO in place");
      },
      aside: () => Promise.resolve(),
      nowMs: () => 0,
    });
    await waits(breaking, 2);
    broken = true;
    await expect(breaking.wait(3)).rejects.toThrow("EIO in place");
  });
});
