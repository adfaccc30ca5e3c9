import type { DeadLetter, DeadLetters, StepMessage, StepQueue } from "../bus/ports.ts";
import { eventually, type ContractTest, type Tick } from "./contract-test.ts";

export interface DeadLettersWorld {
  readonly queue: StepQueue;
  readonly deadLetters: DeadLetters;
  readonly tick: Tick;
  readonly close: () => Promise<void>;
}

const step = (stepId: string, more: Partial<StepMessage> = {}): StepMessage => ({
  sessionId: "s",
  runId: "r",
  stepId,
  agent: "a",
  attempt: 2,
  body: { n: stepId },
  ...more,
});

/** What every keeper of dead letters keeps. `open` gives a fresh one each time, with the queue it belongs to. */
export function deadLettersContract(test: ContractTest, name: string, open: () => Promise<DeadLettersWorld>): void {
  const { describe, it, expect, beforeEach, afterEach } = test;
  describe(`${name} keeps the DeadLetters contract`, () => {
    let world: DeadLettersWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(async () => {
      await world.close();
    });
    const until = (what: string, holds: () => boolean | Promise<boolean>): Promise<void> =>
      eventually(world.tick, what, holds);
    const stepIds = (letters: readonly DeadLetter[]): string[] => letters.map((letter) => letter.stepId);

    /** Offers the steps and gives each up, in order. */
    async function bury(...steps: StepMessage[]): Promise<void> {
      const server = world.queue.serve({ slots: 1, run: (claim) => claim.giveUp(`no use: ${claim.step.stepId}`) });
      const before = (await world.deadLetters.list()).length;
      for (const [i, one] of steps.entries()) {
        await world.queue.offer(one);
        await until(`${one.stepId} is buried`, async () => (await world.deadLetters.list()).length === before + i + 1);
      }
      await server.stop();
    }

    it("tells of a step that was given up all that is known of it, and gives the step whole", async () => {
      await bury(step("1.0.1", { agent: "writer" }));
      const [letter] = await world.deadLetters.list();
      expect(letter).toMatchObject({
        sessionId: "s",
        stepId: "1.0.1",
        attempt: 2,
        agent: "writer",
        reason: "no use: 1.0.1",
        deliveries: 1,
      });
      expect(Number.isFinite(letter?.atMs)).toBe(true);
      expect((await world.deadLetters.get(letter?.id ?? ""))?.step).toEqual(step("1.0.1", { agent: "writer" }));
    });

    it("lists oldest first, a page at a time, of one session where asked", async () => {
      await bury(step("1.0.1"), step("1.0.2", { sessionId: "t" }), step("1.0.3"));
      const first = await world.deadLetters.list({ limit: 2 });
      expect(stepIds(first)).toEqual(["1.0.1", "1.0.2"]);
      expect(stepIds(await world.deadLetters.list({ limit: 2, after: first[1]?.id ?? "" }))).toEqual(["1.0.3"]);
      expect(stepIds(await world.deadLetters.list({ sessionId: "s" }))).toEqual(["1.0.1", "1.0.3"]);
    });

    it("forgets what is dropped, once, and knows no letter it never had", async () => {
      await bury(step("1.0.1"), step("1.0.2"));
      const [letter] = await world.deadLetters.list();
      const id = letter?.id ?? "";
      expect(await world.deadLetters.drop(id)).toBe(true);
      expect(await world.deadLetters.drop(id)).toBe(false);
      expect(await world.deadLetters.get(id)).toBe(undefined);
      expect(await world.deadLetters.get("nobody's")).toBe(undefined);
      expect(stepIds(await world.deadLetters.list())).toEqual(["1.0.2"]);
    });

    it("tells watchers of the session's letters from then on, until they stop, whatever another watcher does", async () => {
      await bury(step("1.0.0"));
      const seen: string[] = [];
      world.deadLetters.watch("s", () => {
        throw new Error("watcher broke");
      });
      const stop = world.deadLetters.watch("s", (letter) => seen.push(letter.stepId));
      await world.tick(200);
      await bury(step("1.0.1"), step("1.0.2", { sessionId: "t" }), step("1.0.3"));
      await until("both are told", () => seen.length >= 2);
      expect(seen).toEqual(["1.0.1", "1.0.3"]);
      stop();
      stop();
      await bury(step("1.0.4"));
      await world.tick(200);
      expect(seen).toEqual(["1.0.1", "1.0.3"]);
    });
  });
}
