import type { Claim, StepMessage, StepQueue } from "../bus/ports.ts";
import { eventually, type ContractTest, type Tick } from "./contract-test.ts";

export interface StepQueueWorld {
  readonly queue: StepQueue;
  /** The wall clock that `notBeforeMs` is measured on. */
  readonly nowMs: () => number;
  readonly tick: Tick;
  /** The bounds the queue was opened with; keep them small. */
  readonly ackWaitMs: number;
  readonly maxDelivery: number;
  /** Per agent. */
  readonly queueCapacity: number;
  /** Steps that left the queue without a result so far, with the reason. */
  readonly deadLetters: () => Promise<readonly { readonly stepId: string; readonly reason: string }[]>;
  readonly close: () => Promise<void>;
}

const step = (stepId: string, more: Partial<StepMessage> = {}): StepMessage => ({
  sessionId: "s",
  runId: "r",
  stepId,
  agent: "a",
  attempt: 1,
  body: { n: stepId },
  ...more,
});

/** What every step queue keeps (B1, B2). `open` gives a fresh queue each time. */
export function stepQueueContract(test: ContractTest, name: string, open: () => Promise<StepQueueWorld>): void {
  const { describe, it, expect, beforeEach, afterEach } = test;
  describe(`${name} keeps the StepQueue contract`, () => {
    let world: StepQueueWorld;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(async () => {
      await world.close();
    });

    const settle = (): Promise<void> => world.tick(200);
    const until = (what: string, holds: () => boolean | Promise<boolean>): Promise<void> =>
      eventually(world.tick, what, holds);

    /** Serves and keeps every claim it was given; `end` ends it, by default at once as done. */
    function serve(
      options: { agents?: readonly string[]; slots?: number; end?: (claim: Claim) => Promise<void> } = {},
    ) {
      const claims: Claim[] = [];
      const server = world.queue.serve({
        ...(options.agents === undefined ? {} : { agents: options.agents }),
        slots: options.slots ?? 1,
        async run(claim) {
          claims.push(claim);
          await (options.end ?? ((one) => one.done()))(claim);
        },
      });
      return { claims, server, ids: () => claims.map((claim) => claim.step.stepId) };
    }

    /** A worker that holds every claim open, alive, until told otherwise. */
    function hold(options: { slots?: number; agents?: readonly string[] } = {}) {
      const release = new Map<string, (how: "done") => void>();
      const held = serve({
        ...options,
        end: (claim) =>
          new Promise<void>((resolve, reject) =>
            release.set(claim.step.stepId, () => void claim.done().then(resolve, reject)),
          ),
      });
      return { ...held, done: (stepId: string) => release.get(stepId)?.("done") };
    }

    it("hands the steps of one agent to one slot in the order of their offers", async () => {
      const ids = Array.from({ length: 20 }, (_, i) => `1.0.${i}`);
      for (const id of ids) expect(await world.queue.offer(step(id))).toBe("queued");
      const worker = serve();
      await until("20 steps are handed out", () => worker.claims.length >= 20);
      expect(worker.ids()).toEqual(ids);
    });

    it("hands the step over as it was offered, as its first delivery", async () => {
      const offered = step("1.0.1", { body: { deep: [1, "two", null, { three: true }] }, attempt: 3 });
      const worker = serve();
      await world.queue.offer(offered);
      await until("the step is handed out", () => worker.claims.length === 1);
      expect(worker.claims[0]?.step).toEqual(offered);
      expect(worker.claims[0]?.delivery).toBe(1);
    });

    it("refuses a second offer of a step that waits or is being worked on, and takes it again once it has ended", async () => {
      expect(await world.queue.offer(step("1.0.1"))).toBe("queued");
      expect(await world.queue.offer(step("1.0.1"))).toBe("already");
      const worker = hold();
      await until("the step is handed out", () => worker.claims.length === 1);
      expect(await world.queue.offer(step("1.0.1"))).toBe("already");
      worker.done("1.0.1");
      await until("the step is offered anew", async () => (await world.queue.offer(step("1.0.1"))) === "queued");
      await until("it is handed out again", () => worker.claims.length === 2);
      worker.done("1.0.1");
    });

    it("takes the same step id from another session, and another attempt of the same step", async () => {
      expect(await world.queue.offer(step("1.0.1"))).toBe("queued");
      expect(await world.queue.offer(step("1.0.1", { sessionId: "t" }))).toBe("queued");
      const worker = serve();
      await until("both are handed out", () => worker.claims.length === 2);
      await until(
        "the next attempt is taken",
        async () => (await world.queue.offer(step("1.0.1", { attempt: 2 }))) === "queued",
      );
      await until("the next attempt is handed out", () => worker.claims.length === 3);
      expect(worker.claims[2]?.step.attempt).toBe(2);
    });

    it("hands each step to one worker only while several serve the agent", async () => {
      const workers = [serve({ slots: 3 }), serve({ slots: 2 }), serve()];
      const ids = Array.from({ length: 30 }, (_, i) => `1.0.${i}`);
      for (const id of ids) await world.queue.offer(step(id));
      const given = (): string[] => workers.flatMap((worker) => worker.ids());
      await until("30 steps are handed out", () => given().length >= 30);
      await settle();
      expect(given().sort()).toEqual([...ids].sort());
    });

    it("keeps the steps of agents that a worker does not serve for one that does", async () => {
      const first = serve({ agents: ["a", "b"], slots: 5 });
      await world.queue.offer(step("1.0.1", { agent: "a" }));
      await world.queue.offer(step("1.0.2", { agent: "c" }));
      await world.queue.offer(step("1.0.3", { agent: "b" }));
      await until("two steps are handed out", () => first.claims.length === 2);
      await settle();
      expect(first.ids().sort()).toEqual(["1.0.1", "1.0.3"]);
      const second = serve({ agents: ["c"] });
      await until("the third is handed out", () => second.claims.length === 1);
      expect(second.ids()).toEqual(["1.0.2"]);
    });

    it("keeps at most as many claims open as there are slots, and follows when the slots change", async () => {
      for (let i = 1; i <= 5; i++) await world.queue.offer(step(`1.0.${i}`));
      const worker = hold({ slots: 2 });
      await until("two are open", () => worker.claims.length === 2);
      await settle();
      expect(worker.claims.length).toBe(2);
      worker.server.setSlots(3);
      await until("three are open", () => worker.claims.length === 3);
      worker.server.setSlots(1);
      for (const claim of worker.claims.slice()) claim.beat();
      for (const id of worker.ids().slice(0, 2)) worker.done(id);
      await settle();
      expect(worker.claims.length).toBe(3);
      for (const id of worker.ids().slice(2)) worker.done(id);
      await until("the fourth is handed out once there is one slot again", () => worker.claims.length === 4);
      for (const id of worker.ids()) worker.done(id);
      await until("the fifth is handed out", () => worker.claims.length === 5);
      worker.done(worker.ids()[4] ?? "");
    });

    it("holds a step back until its time has come, and lets others pass", async () => {
      const worker = serve();
      await world.queue.offer(step("1.0.1", { notBeforeMs: world.nowMs() + 2_000 }));
      await world.queue.offer(step("1.0.2"));
      await until("the second is handed out", () => worker.claims.length === 1);
      expect(worker.ids()).toEqual(["1.0.2"]);
      expect(await world.queue.offer(step("1.0.1"))).toBe("already");
      await until("the first is handed out in time", () => worker.claims.length === 2);
      expect(worker.ids()).toEqual(["1.0.2", "1.0.1"]);
    });

    it("withdraws a step that waits, held-back ones too, and none that is being worked on", async () => {
      await world.queue.offer(step("1.0.1"));
      await world.queue.offer(step("1.0.2", { notBeforeMs: world.nowMs() + 500 }));
      await world.queue.offer(step("1.0.3"));
      expect(await world.queue.withdraw("s", "1.0.1")).toBe(true);
      expect(await world.queue.withdraw("s", "1.0.2")).toBe(true);
      expect(await world.queue.withdraw("s", "1.0.1")).toBe(false);
      expect(await world.queue.withdraw("t", "1.0.3")).toBe(false);
      const worker = hold();
      await until("the third is handed out", () => worker.claims.length === 1);
      expect(worker.ids()).toEqual(["1.0.3"]);
      expect(await world.queue.withdraw("s", "1.0.3")).toBe(false);
      worker.done("1.0.3");
      await world.tick(1_000);
      expect(worker.ids()).toEqual(["1.0.3"]);
    });

    it("hands a step that was handed back out again after the delay, as a repeat", async () => {
      let handedBackAtMs = 0;
      const worker = serve({
        end: async (claim) => {
          if (claim.delivery > 1) return claim.done();
          handedBackAtMs = world.nowMs();
          return claim.retry(500);
        },
      });
      await world.queue.offer(step("1.0.1"));
      await until("it is handed out twice", () => worker.claims.length === 2);
      expect(worker.claims[1]?.delivery).toBe(2);
      expect(world.nowMs() - handedBackAtMs >= 499).toBe(true);
    });

    it("hands a step back that a worker left without ending its claim, or by throwing", async () => {
      const worker = serve({
        slots: 2,
        end: async (claim) => {
          if (claim.delivery === 2) return claim.done();
          if (claim.step.stepId === "1.0.1") throw new Error("worker broke");
        },
      });
      await world.queue.offer(step("1.0.1"));
      await world.queue.offer(step("1.0.2"));
      await until("both are handed out twice", () => worker.claims.length === 4);
      await settle();
      expect(worker.claims.map((claim) => `${claim.step.stepId} ${claim.delivery}`).sort()).toEqual([
        "1.0.1 1",
        "1.0.1 2",
        "1.0.2 1",
        "1.0.2 2",
      ]);
    });

    it("hands a claim that is not beaten to another worker after ackWaitMs", async () => {
      const silent = serve({ end: () => new Promise(() => undefined) });
      const offeredAtMs = world.nowMs();
      await world.queue.offer(step("1.0.1"));
      await until("the silent worker has it", () => silent.claims.length === 1);
      const other = serve();
      await until("the other worker has it", () => other.claims.length === 1);
      expect(other.claims[0]?.delivery).toBe(2);
      expect(world.nowMs() - offeredAtMs >= world.ackWaitMs - 1).toBe(true);
    });

    it("leaves a claim that is beaten with its worker, however long it takes", async () => {
      // A machine that stands still for as long as a claim may be silent beats too late: what it shows is of no worth, and the next step is watched.
      for (let round = 1, beatInTime = false; !beatInTime; round++) {
        const stepId = `1.0.${round}`;
        let finish = (): void => undefined;
        const finished = new Promise<void>((resolve) => (finish = resolve));
        const slow = serve({ end: (claim) => finished.then(() => claim.done()) });
        await world.queue.offer(step(stepId));
        let beatAtMs = world.nowMs();
        await until("the slow worker has it", () => slow.ids().includes(stepId));
        const other = serve();
        beatInTime = true;
        for (let beats = 0; beats < 7; beats++) {
          if (world.nowMs() - beatAtMs > world.ackWaitMs * 0.75) beatInTime = false;
          beatAtMs = world.nowMs();
          slow.claims[0]?.beat();
          await world.tick(world.ackWaitMs / 4);
        }
        if (world.nowMs() - beatAtMs > world.ackWaitMs * 0.75) beatInTime = false;
        if (beatInTime) expect([...slow.ids(), ...other.ids()]).toEqual([stepId]);
        finish();
        await Promise.all([slow.server.stop(), other.server.stop()]);
      }
    });

    it("buries a step that was handed out as often as allowed", async () => {
      const worker = serve({ end: () => Promise.reject(new Error("poison")) });
      await world.queue.offer(step("1.0.1"));
      await until("it is buried", async () => (await world.deadLetters()).length === 1);
      expect((await world.deadLetters())[0]?.stepId).toBe("1.0.1");
      expect(worker.claims.length).toBe(world.maxDelivery);
      await until("its id is free again", async () => (await world.queue.offer(step("1.0.1"))) !== "already");
    });

    it("buries a step that its worker gave up, with the reason, and does not hand it out again", async () => {
      const worker = serve({ end: (claim) => claim.giveUp("no such agent here") });
      await world.queue.offer(step("1.0.1"));
      await until("it is buried", async () => (await world.deadLetters()).length === 1);
      expect((await world.deadLetters())[0]).toMatchObject({ stepId: "1.0.1", reason: "no such agent here" });
      await settle();
      expect(worker.claims.length).toBe(1);
    });

    it("takes no second ending of a claim for anything", async () => {
      const worker = serve({
        end: async (claim) => {
          await claim.done();
          await claim.retry(0);
          await claim.giveUp("again");
          await claim.done();
        },
      });
      await world.queue.offer(step("1.0.1"));
      await until("it is handed out", () => worker.claims.length === 1);
      await settle();
      expect(worker.claims.length).toBe(1);
      expect((await world.deadLetters()).length).toBe(0);
    });

    it("stops handing out at once, and has stopped when the open claims have ended", async () => {
      const worker = hold();
      await world.queue.offer(step("1.0.1"));
      await world.queue.offer(step("1.0.2"));
      await until("the first is handed out", () => worker.claims.length === 1);
      let stopped = false;
      const stopping = worker.server.stop().then(() => (stopped = true));
      await settle();
      expect(stopped).toBe(false);
      worker.done("1.0.1");
      await until("the server has stopped", () => stopped);
      await stopping;
      await settle();
      expect(worker.ids()).toEqual(["1.0.1"]);
      const next = serve();
      await until("the second goes to another worker", () => next.claims.length === 1);
      expect(next.ids()).toEqual(["1.0.2"]);
    });

    it("refuses what is above the bound of one agent, and takes more once steps have left", async () => {
      const { queueCapacity } = world;
      for (let i = 0; i < queueCapacity; i++) expect(await world.queue.offer(step(`1.0.${i}`))).toBe("queued");
      expect(await world.queue.offer(step("1.0.9999"))).toBe("full");
      expect(await world.queue.offer(step("1.0.0", { agent: "b", sessionId: "t" }))).toBe("queued");
      const worker = serve();
      await until("the queue is worked off", () => worker.claims.length === queueCapacity + 1);
      await until("there is room again", async () => (await world.queue.offer(step("1.0.9999"))) === "queued");
      await until("the refused step is handed out", () => worker.claims.length === queueCapacity + 2);
    });

    it("counts the steps that wait, in all and by agent", async () => {
      for (const [id, agent] of [
        ["1.0.1", "a"],
        ["1.0.2", "b"],
        ["1.0.3", "b"],
      ] as const)
        await world.queue.offer(step(id, { agent }));
      await until("three wait", () => world.queue.depth() === 3);
      await until("two wait for b", () => world.queue.depth("b") === 2);
      serve({ slots: 3 });
      await until("none waits", () => world.queue.depth() === 0 && world.queue.depth("b") === 0);
    });
  });
}
