import type { Inbox, InboxCommand } from "../bus/ports.ts";
import { codeOf, eventually, type ContractTest, type Tick } from "./contract-test.ts";

export interface InboxWorld {
  readonly inbox: Inbox;
  readonly tick: Tick;
  /** Unread commands that one session may have; keep it small. */
  readonly capacity: number;
  readonly close: () => Promise<void>;
}

const command = (id: string, body: unknown = null): InboxCommand => ({ id, type: "answer", body });

/** What every inbox keeps (B5). `open` gives a fresh one each time. */
export function inboxContract(test: ContractTest, name: string, open: () => Promise<InboxWorld>): void {
  const { describe, it, expect, beforeEach, afterEach } = test;
  describe(`${name} keeps the Inbox contract`, () => {
    let world: InboxWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(async () => {
      await world.close();
    });
    const idsAfter = async (after: number, sessionId = "s"): Promise<string[]> =>
      (await world.inbox.read(sessionId, after)).map((one) => one.command.id);

    it("gives commands back in the order they were posted, at ascending positions above 0", async () => {
      for (const id of ["a", "b", "c"]) await world.inbox.post("s", command(id, { to: id }));
      const read = await world.inbox.read("s", 0);
      expect(read.map((one) => one.command)).toEqual([
        command("a", { to: "a" }),
        command("b", { to: "b" }),
        command("c", { to: "c" }),
      ]);
      const positions = read.map((one) => one.position);
      expect((positions[0] ?? 0) > 0).toBe(true);
      expect(positions).toEqual([...new Set(positions)].sort((x, y) => x - y));
    });

    it("gives the same commands again until they are read past", async () => {
      for (const id of ["a", "b", "c"]) await world.inbox.post("s", command(id));
      expect(await idsAfter(0)).toEqual(["a", "b", "c"]);
      const read = await world.inbox.read("s", 0);
      expect(await idsAfter(read[0]?.position ?? 0)).toEqual(["b", "c"]);
      expect(await idsAfter(read[2]?.position ?? 0)).toEqual([]);
    });

    it("stores a repeated id once, after it was read past too", async () => {
      await world.inbox.post("s", command("a", 1));
      await world.inbox.post("s", command("a", 2));
      const [first] = await world.inbox.read("s", 0);
      expect(first?.command.body).toBe(1);
      const position = first?.position ?? 0;
      expect(await idsAfter(position)).toEqual([]);
      await world.inbox.post("s", command("a", 3));
      await world.inbox.post("s", command("b"));
      expect(await idsAfter(position)).toEqual(["b"]);
    });

    it("keeps sessions apart", async () => {
      await world.inbox.post("s", command("a"));
      await world.inbox.post("t", command("a"));
      expect(await idsAfter(0, "s")).toEqual(["a"]);
      expect(await idsAfter(0, "t")).toEqual(["a"]);
      expect(await idsAfter(0, "u")).toEqual([]);
    });

    it("refuses what is above its bound, and takes it once there is room", async () => {
      for (let i = 0; i < world.capacity; i++) await world.inbox.post("s", command(`c${i}`));
      expect(await codeOf(world.inbox.post("s", command("late")))).toBe("ORCH_OVERLOADED");
      expect(await codeOf(world.inbox.post("s", command("c0")))).toBe("none");
      expect(await codeOf(world.inbox.post("t", command("late")))).toBe("none");
      const read = await world.inbox.read("s", 0);
      expect(read.length).toBe(world.capacity);
      const last = read.at(-1)?.position ?? 0;
      await world.inbox.read("s", last);
      expect(await codeOf(world.inbox.post("s", command("late")))).toBe("none");
      expect(await idsAfter(last)).toEqual(["late"]);
    });

    it("nudges the watchers of a session, also after one of them threw, until they stop", async () => {
      let nudged = 0;
      world.inbox.watch("s", () => {
        throw new Error("watcher broke");
      });
      const stop = world.inbox.watch("s", () => void nudged++);
      await world.tick(200);
      await world.inbox.post("t", command("a"));
      await world.tick(200);
      expect(nudged).toBe(0);
      await world.inbox.post("s", command("a"));
      await eventually(world.tick, "the watcher is nudged", () => nudged >= 1);
      const before = nudged;
      stop();
      stop();
      await world.inbox.post("s", command("b"));
      await world.tick(200);
      expect(nudged).toBe(before);
    });

    it("forgets a session, and gives what is posted later a position above all before", async () => {
      await world.inbox.post("s", command("a"));
      const position = (await world.inbox.read("s", 0))[0]?.position ?? 0;
      await world.inbox.forget("s");
      await world.inbox.forget("s");
      expect(await idsAfter(0)).toEqual([]);
      await world.inbox.post("s", command("b"));
      expect(await idsAfter(position)).toEqual(["b"]);
    });
  });
}
