import type { Journal, JournalEntry } from "../bus/ports.ts";
import { codeOf, type ContractTest, type Tick } from "./contract-test.ts";

export interface JournalWorld {
  readonly journal: Journal;
  readonly tick: Tick;
  readonly close: () => Promise<void>;
}

const entry = (key: string, v: unknown, sessionId = "s"): JournalEntry => ({
  sessionId,
  stepId: "1.0.1",
  key,
  value: { v },
});

/** An owner that commits into a list. */
function listOwner() {
  const entries: JournalEntry[] = [];
  return {
    entries,
    async put(one: JournalEntry): Promise<"first" | "already"> {
      if (entries.some((before) => before.stepId === one.stepId && before.key === one.key)) return "already";
      entries.push(one);
      return "first";
    },
    async list(stepId: string): Promise<readonly JournalEntry[]> {
      return entries.filter((one) => one.stepId === stepId);
    },
  };
}

/** What every journal keeps (B4). `open` gives a fresh one each time. */
export function journalContract(test: ContractTest, name: string, open: () => Promise<JournalWorld>): void {
  const { describe, it, expect, beforeEach, afterEach } = test;
  describe(`${name} keeps the Journal contract`, () => {
    let world: JournalWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(async () => {
      await world.close();
    });

    it("refuses entries of a session that nobody owns", async () => {
      expect(await codeOf(world.journal.put(entry("k", 1)))).toBe("ORCH_FENCED");
    });

    it("leads entries to the owner of their session and gives its answer back", async () => {
      const [mine, other] = [listOwner(), listOwner()];
      world.journal.own("s", mine);
      world.journal.own("t", other);
      await world.tick(200);
      expect(await world.journal.put(entry("k", 1))).toBe("first");
      expect(await world.journal.put(entry("k", 2))).toBe("already");
      expect(await world.journal.put(entry("k", 3, "t"))).toBe("first");
      expect(mine.entries).toEqual([entry("k", 1)]);
      expect(other.entries).toEqual([entry("k", 3, "t")]);
      expect(await world.journal.list("s", "1.0.1")).toEqual([entry("k", 1)]);
      expect(await world.journal.list("s", "1.0.2")).toEqual([]);
    });

    it("acknowledges an entry only after the owner has committed it", async () => {
      let commit: (answer: "first") => void = () => undefined;
      const committed = new Promise<"first">((resolve) => (commit = resolve));
      world.journal.own("s", { put: () => committed, list: async () => [] });
      await world.tick(200);
      let acknowledged = false;
      const put = world.journal.put(entry("k", 1)).then((answer) => {
        acknowledged = true;
        return answer;
      });
      await world.tick(200);
      expect(acknowledged).toBe(false);
      commit("first");
      expect(await put).toBe("first");
    });

    it("gives back the code the owner refused with", async () => {
      world.journal.own("s", {
        put: () => Promise.reject(Object.assign(new Error("taken over"), { code: "ORCH_FENCED" })),
        list: async () => [],
      });
      await world.tick(200);
      expect(await codeOf(world.journal.put(entry("k", 1)))).toBe("ORCH_FENCED");
    });

    it("refuses entries once the owner has let go", async () => {
      const letGo = world.journal.own("s", listOwner());
      letGo();
      letGo();
      await world.tick(200);
      expect(await codeOf(world.journal.put(entry("k", 1)))).toBe("ORCH_FENCED");
    });

    it("tells whether a session is owned", async () => {
      expect(await world.journal.isOwned("s")).toBe(false);
      const [earlier, latest] = [listOwner(), listOwner()];
      const letGo = world.journal.own("s", earlier);
      await world.tick(200);
      expect(await world.journal.isOwned("s")).toBe(true);
      expect(await world.journal.isOwned("t")).toBe(false);
      const letGoLatest = world.journal.own("s", latest);
      letGo();
      await world.tick(200);
      expect(await world.journal.isOwned("s")).toBe(true);
      letGoLatest();
      await world.tick(200);
      expect(await world.journal.isOwned("s")).toBe(false);
    });

    it("stays with the latest owner when an earlier one lets go", async () => {
      const [earlier, latest] = [listOwner(), listOwner()];
      const letGo = world.journal.own("s", earlier);
      world.journal.own("s", latest);
      letGo();
      await world.tick(200);
      expect(await world.journal.put(entry("k", 1))).toBe("first");
      expect(latest.entries.length).toBe(1);
    });
  });
}
