import type { ResultRegister, StepResult } from "../bus/ports.ts";
import { eventually, type ContractTest, type Tick } from "./contract-test.ts";

export interface ResultRegisterWorld {
  readonly results: ResultRegister;
  readonly tick: Tick;
  readonly close: () => Promise<void>;
}

const result = (stepId: string, body: unknown, more: Partial<StepResult> = {}): StepResult => ({
  sessionId: "s",
  stepId,
  attempt: 1,
  body,
  ...more,
});

/** What every result register keeps (B3). `open` gives a fresh one each time. */
export function resultRegisterContract(
  test: ContractTest,
  name: string,
  open: () => Promise<ResultRegisterWorld>,
): void {
  const { describe, it, expect, beforeEach, afterEach } = test;
  describe(`${name} keeps the ResultRegister contract`, () => {
    let world: ResultRegisterWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(async () => {
      await world.close();
    });

    it("keeps the first result of an attempt and refuses later ones", async () => {
      const { results } = world;
      expect(await results.put(result("1.0.1", "first"))).toBe("first");
      expect(await results.put(result("1.0.1", "second"))).toBe("already");
      expect((await results.get("s", "1.0.1", 1))?.body).toBe("first");
    });

    it("lets exactly one of many at the same moment win, and keeps that one", async () => {
      const bodies = [0, 1, 2, 3, 4, 5, 6, 7];
      const answers = await Promise.all(bodies.map((body) => world.results.put(result("1.0.1", body))));
      expect(answers.filter((answer) => answer === "first").length).toBe(1);
      expect((await world.results.get("s", "1.0.1", 1))?.body).toBe(answers.indexOf("first"));
    });

    it("tells attempts, steps and sessions apart", async () => {
      const { results } = world;
      await results.put(result("1.0.1", "a"));
      expect(await results.put(result("1.0.1", "b", { attempt: 2 }))).toBe("first");
      expect(await results.put(result("1.0.2", "c"))).toBe("first");
      expect(await results.put(result("1.0.1", "d", { sessionId: "t" }))).toBe("first");
      expect((await results.get("s", "1.0.1", 2))?.body).toBe("b");
      expect(await results.get("s", "1.0.2", 2)).toBe(undefined);
      expect(await results.get("u", "1.0.1", 1)).toBe(undefined);
      expect((await results.list("s")).map((one) => one.body).sort()).toEqual(["a", "b", "c"]);
      expect((await results.list("t")).length).toBe(1);
      expect(await results.list("u")).toEqual([]);
    });

    it("gives a result back as it was put", async () => {
      const put = result("1.0.1", { output: { list: [1, "two", null] }, usage: { inputTokens: 3 } });
      await world.results.put(put);
      expect(await world.results.get("s", "1.0.1", 1)).toEqual(put);
      expect(await world.results.list("s")).toEqual([put]);
    });

    it("tells each watcher of each first result of its session, once and in order", async () => {
      const seen: unknown[] = [];
      const alsoSeen: unknown[] = [];
      await world.results.put(result("1.0.0", "before"));
      world.results.watch("s", (one) => seen.push(one.body));
      world.results.watch("s", (one) => alsoSeen.push(one.body));
      await world.tick(200);
      await world.results.put(result("1.0.1", "a"));
      await world.results.put(result("1.0.1", "repeat"));
      await world.results.put(result("1.0.1", "elsewhere", { sessionId: "t" }));
      await world.results.put(result("1.0.2", "b"));
      await eventually(world.tick, "both watchers are told twice", () => seen.length >= 2 && alsoSeen.length >= 2);
      await world.tick(200);
      expect(seen).toEqual(["a", "b"]);
      expect(alsoSeen).toEqual(["a", "b"]);
    });

    it("keeps on telling the others, and the watcher itself, when a watcher throws", async () => {
      const seen: unknown[] = [];
      let thrown = 0;
      world.results.watch("s", () => {
        thrown++;
        throw new Error("watcher broke");
      });
      world.results.watch("s", (one) => seen.push(one.body));
      await world.tick(200);
      await world.results.put(result("1.0.1", "a"));
      await world.results.put(result("1.0.2", "b"));
      await eventually(world.tick, "all are told", () => seen.length === 2 && thrown === 2);
    });

    it("tells a watcher that stopped nothing more", async () => {
      const seen: unknown[] = [];
      const stop = world.results.watch("s", (one) => seen.push(one.body));
      stop();
      stop();
      await world.results.put(result("1.0.1", "a"));
      await world.tick(200);
      expect(seen).toEqual([]);
    });

    it("forgets one attempt and no other, or the whole session", async () => {
      const { results } = world;
      const first = { stepId: "1.0.1", attempt: 1 };
      await results.put(result("1.0.1", "a"));
      await results.put(result("1.0.1", "again", { attempt: 2 }));
      await results.put(result("1.0.2", "b"));
      await results.put(result("1.0.3", "c", { sessionId: "t" }));
      await results.forget("s", first);
      await results.forget("s", first);
      expect(await results.get("s", "1.0.1", 1)).toBe(undefined);
      expect((await results.list("s")).map((one) => one.body).sort()).toEqual(["again", "b"]);
      await results.forget("s", { stepId: "1.0.1", attempt: 2 });
      expect((await results.list("s")).map((one) => one.stepId)).toEqual(["1.0.2"]);
      await results.forget("s");
      await results.forget("s");
      expect(await results.list("s")).toEqual([]);
      expect((await results.list("t")).length).toBe(1);
    });
  });
}
