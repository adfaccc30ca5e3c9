import type { HostInfo, Liveness } from "../bus/ports.ts";
import { eventually, type ContractTest, type Tick } from "./contract-test.ts";

export interface LivenessWorld {
  readonly liveness: Liveness;
  readonly tick: Tick;
  readonly leaseTtlMs: number;
  readonly close: () => Promise<void>;
}

const host = (name: string, more: Partial<HostInfo> = {}): HostInfo => ({
  host: name,
  agents: ["a"],
  sessions: 0,
  version: "1.0.0",
  slots: 4,
  running: 0,
  topologies: ["t"],
  startedAtMs: 1_000,
  adopts: true,
  ...more,
});

/** What every liveness port keeps. `open` gives a fresh one each time. */
export function livenessContract(test: ContractTest, name: string, open: () => Promise<LivenessWorld>): void {
  const { describe, it, expect, beforeEach, afterEach } = test;
  describe(`${name} keeps the Liveness contract`, () => {
    let world: LivenessWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(async () => {
      await world.close();
    });
    const names = async (): Promise<string[]> => (await world.liveness.alive()).map((one) => one.host).sort();
    const until = (what: string, holds: () => boolean | Promise<boolean>): Promise<void> =>
      eventually(world.tick, what, holds);

    it("shows the hosts that announced themselves, with what they said", async () => {
      const told = { agents: ["a", "b.c"], sessions: 2, running: 3, pid: 12, labels: { zone: "x" } };
      await world.liveness.announce(host("h1", told));
      await world.liveness.announce(host("h2"));
      await until("both are alive", async () => (await names()).length === 2);
      expect((await world.liveness.alive()).find((one) => one.host === "h1")).toEqual(host("h1", told));
    });

    it("keeps a host alive past the time of its lease, without its doing", async () => {
      await world.liveness.announce(host("h1"));
      for (let i = 0; i < 3; i++) await world.tick(world.leaseTtlMs);
      // On a machine that stood still for that long it may be gone, until the next renewal.
      await until("it is alive", async () => (await names()).join() === "h1");
    });

    it("drops a host that released its lease, and takes no update of it any more", async () => {
      const lease = await world.liveness.announce(host("h1"));
      await world.liveness.announce(host("h2"));
      await lease.release();
      await lease.release();
      await lease.update({ sessions: 5 });
      await until("one is left", async () => (await names()).length === 1);
      expect(await names()).toEqual(["h2"]);
    });

    it("holds the lease until it is released", async () => {
      const lease = await world.liveness.announce(host("h1"));
      await world.tick(world.leaseTtlMs);
      await until("it is held", () => lease.held.now());
      await lease.release();
      expect(lease.held.now()).toBe(false);
    });

    it("shows what a host updated, and keeps the rest", async () => {
      const lease = await world.liveness.announce(host("h1"));
      await lease.update({ sessions: 7 });
      await until("the update shows", async () => (await world.liveness.alive())[0]?.sessions === 7);
      expect((await world.liveness.alive())[0]).toEqual(host("h1", { sessions: 7 }));
    });

    it("lets the later announcement of a host stand when the earlier is released", async () => {
      const earlier = await world.liveness.announce(host("h1"));
      await world.liveness.announce(host("h1", { sessions: 1 }));
      await earlier.release();
      await world.tick(200);
      expect(await names()).toEqual(["h1"]);
    });

    it("tells watchers who is alive whenever that changes, until they stop", async () => {
      let seen: string[] = [];
      world.liveness.watch(() => {
        throw new Error("watcher broke");
      });
      const stop = world.liveness.watch((hosts) => (seen = hosts.map((one) => one.host).sort()));
      await world.tick(200);
      const lease = await world.liveness.announce(host("h1"));
      await world.liveness.announce(host("h2"));
      await until("both are seen", () => seen.join() === "h1,h2");
      await lease.release();
      await until("one is seen to go", () => seen.join() === "h2");
      stop();
      stop();
      await world.liveness.announce(host("h3"));
      await world.tick(200);
      expect(seen).toEqual(["h2"]);
    });
  });
}
