import type { LiveEvents } from "../bus/ports.ts";
import { eventually, type ContractTest, type Tick } from "./contract-test.ts";

export interface LiveEventsWorld {
  readonly live: LiveEvents;
  readonly tick: Tick;
  readonly close: () => Promise<void>;
}

/** What every adapter for live events keeps, in a world that loses none of them on the way. `open` gives a fresh one each time. */
export function liveEventsContract(test: ContractTest, name: string, open: () => Promise<LiveEventsWorld>): void {
  const { describe, it, expect, beforeEach, afterEach } = test;
  describe(`${name} keeps the LiveEvents contract`, () => {
    let world: LiveEventsWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(async () => {
      await world.close();
    });
    const until = (what: string, holds: () => boolean): Promise<void> => eventually(world.tick, what, holds);

    it("gives each subscriber of a session its events in order, and no others", async () => {
      const [one, two]: [unknown[], unknown[]] = [[], []];
      world.live.subscribe("s", (event) => one.push(event));
      world.live.subscribe("s", (event) => two.push(event));
      await world.tick(200);
      world.live.publish({ sessionId: "t", event: "elsewhere" });
      for (const event of [{ chunk: 1 }, { chunk: 2 }, { chunk: 3 }]) world.live.publish({ sessionId: "s", event });
      await until("both have three", () => one.length >= 3 && two.length >= 3);
      await world.tick(200);
      expect(one).toEqual([{ chunk: 1 }, { chunk: 2 }, { chunk: 3 }]);
      expect(two).toEqual(one);
    });

    it("never calls a subscriber from within publish", async () => {
      let publishing = false;
      let within = 0;
      let seen = 0;
      world.live.subscribe("s", () => {
        seen++;
        if (publishing) within++;
      });
      await world.tick(200);
      publishing = true;
      world.live.publish({ sessionId: "s", event: 1 });
      publishing = false;
      await until("the event is seen", () => seen === 1);
      expect(within).toBe(0);
    });

    it("drops the oldest events of a subscriber that falls behind, counts them, and spares the others", async () => {
      const [small, large]: [unknown[], unknown[]] = [[], []];
      const bounded = world.live.subscribe("s", (event) => small.push(event), { capacity: 10 });
      const roomy = world.live.subscribe("s", (event) => large.push(event), { capacity: 1_000 });
      await world.tick(200);
      for (let i = 0; i < 100; i++) world.live.publish({ sessionId: "s", event: i });
      await until("the last event is seen", () => small.at(-1) === 99 && large.at(-1) === 99);
      expect(large.length).toBe(100);
      expect(roomy.dropped).toBe(0);
      expect(small.length + bounded.dropped).toBe(100);
      expect(small.slice(-10)).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
    });

    it("keeps a subscriber that throws", async () => {
      let calls = 0;
      const others: unknown[] = [];
      world.live.subscribe("s", () => {
        calls++;
        throw new Error("listener broke");
      });
      world.live.subscribe("s", (event) => others.push(event));
      await world.tick(200);
      world.live.publish({ sessionId: "s", event: 1 });
      world.live.publish({ sessionId: "s", event: 2 });
      await until("both are called twice", () => calls === 2 && others.length === 2);
    });

    it("tells a subscriber that closed nothing more", async () => {
      const seen: unknown[] = [];
      const subscription = world.live.subscribe("s", (event) => seen.push(event));
      await world.tick(200);
      world.live.publish({ sessionId: "s", event: 1 });
      subscription.close();
      subscription.close();
      world.live.publish({ sessionId: "s", event: 2 });
      await world.tick(200);
      expect(seen).toEqual([]);
    });
  });
}
