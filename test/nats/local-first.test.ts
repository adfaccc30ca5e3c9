// Steps that a process offers and can run itself do not touch the bus; everything else does.

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Claim, StepMessage } from "../../src/bus/ports.ts";
import { run, topology, world } from "../runtime/world.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";
import { freshTenant, openBus, type BusWorld, type BusWorldOptions } from "./bus-world.ts";

let server: NatsServer;
let tenant = "";
const open: BusWorld[] = [];

beforeAll(async () => {
  server = await startNats();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((host) => host.close()));
  tenant = "";
});
afterAll(async () => {
  // In order it would take its time over all the streams.
  await server.kill();
  await server[Symbol.asyncDispose]();
});

async function host(options: BusWorldOptions = {}): Promise<BusWorld> {
  if (tenant === "") tenant = freshTenant();
  const one = await openBus(server.url, { tenant, ...options });
  open.push(one);
  return one;
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

function serve(on: BusWorld, slots: number) {
  const held: { claim: Claim; end: () => Promise<void> }[] = [];
  on.ports.steps.serve({
    agents: ["a"],
    slots,
    run: (claim) =>
      new Promise((resolve) =>
        held.push({
          claim,
          end: async () => {
            const { sessionId, stepId, attempt } = claim.step;
            await on.ports.results.put({ sessionId, stepId, attempt, body: stepId });
            await claim.done();
            resolve();
          },
        }),
      ),
  });
  return held;
}

/** Messages that were ever stored. */
async function stored(on: BusWorld, stream: string): Promise<number> {
  const { jsm } = await on.link.connected();
  return (await jsm.streams.info(stream)).state.last_seq;
}

describe("local first", () => {
  it("runs a whole run without a message on the bus when its process has the agents and the slots", async () => {
    const bus = await host();
    const { engine } = world({ bus: { ...bus.ports, name: "nats" } });
    const outcome = await run(engine, "t", topology("A -> B", "A -> C", "B -> D", "C -> D"), {
      A: (_input, context) => context.once("key", () => "a"),
      B: () => "b",
      C: () => "c",
      D: (arrivals) => (arrivals as { value: string }[]).map(({ value }) => value).join(""),
    });
    expect(outcome.finalResponse).toBe("bc");
    expect(await stored(bus, bus.link.names.streams.work)).toBe(0);
    expect(await stored(bus, bus.link.names.streams.results)).toBe(0);
    await engine.close();
  });

  it("leaves to others what it has no slot for", async () => {
    const [owner, other] = [await host(), await host()];
    const [mine, theirs] = [serve(owner, 1), serve(other, 5)];
    const told: unknown[] = [];
    owner.ports.results.watch("s", (one) => told.push(one.stepId));
    for (const id of ["1.0.1", "1.0.2", "1.0.3"]) await owner.ports.steps.offer(step(id));
    await until("all are handed out", () => mine.length + theirs.length === 3);
    expect(mine.map(({ claim }) => claim.step.stepId)).toContain("1.0.1");
    expect(theirs.length).toBeGreaterThanOrEqual(1);
    for (const { end } of [...mine, ...theirs]) await end();
    await until("the owner is told of all", () => told.length === 3);
    expect(told.sort()).toEqual(["1.0.1", "1.0.2", "1.0.3"]);
  });

  it("sends over the bus, where deliveries are counted, what was taken over with its session", async () => {
    const owner = await host();
    const held = serve(owner, 5);
    await owner.ports.steps.offer(step("1.0.1", { recovered: true }));
    await until("it is handed out", () => held.length === 1);
    expect(await stored(owner, owner.link.names.streams.work)).toBe(1);
    expect(held[0]?.claim.step.recovered).toBe(true);
    await held[0]?.end();
  });

  it("leaves the result of a step whose session is no longer followed here where its next owner finds it", async () => {
    const [owner, next] = [await host(), await host()];
    const held = serve(owner, 5);
    const stop = owner.ports.results.watch("s", () => undefined);
    await owner.ports.steps.offer(step("1.0.1"));
    await owner.ports.steps.offer(step("1.0.2"));
    await until("both are handed out", () => held.length === 2);
    await held[0]?.end();
    expect(await next.ports.results.list("s")).toEqual([]);
    stop();
    await held[1]?.end();
    await until("the next owner finds both", async () => (await next.ports.results.list("s")).length === 2);
  });

  it("counts deliveries on when a step that was handed back here goes over the bus", async () => {
    const [owner, other] = [await host(), await host()];
    const deliveries: number[] = [];
    const here = owner.ports.steps.serve({
      agents: ["a"],
      slots: 1,
      run(claim) {
        deliveries.push(claim.delivery);
        here.setSlots(0);
        return claim.retry(50);
      },
    });
    await owner.ports.steps.offer(step("1.0.1"));
    await until("it is sent", async () => (await stored(owner, owner.link.names.streams.work)) === 1);
    const theirs = serve(other, 1);
    await until("it is handed out there", () => theirs.length === 1);
    deliveries.push(theirs[0]?.claim.delivery ?? 0);
    expect(deliveries).toEqual([1, 2]);
    expect(theirs[0]?.claim.step).toEqual(step("1.0.1"));
    await theirs[0]?.end();
  });

  it("asks a journal's owner in the same process first, and the next one when that one has lost the session", async () => {
    const patient = { tuning: { journalPatienceMs: 10_000 } };
    const [stale, owner] = [await host(patient), await host(patient)];
    let asked = 0;
    const refuse = (): Promise<never> => {
      asked++;
      return Promise.reject(Object.assign(new Error("taken over"), { code: "ORCH_FENCED" }));
    };
    const letGo = stale.ports.journal.own("s", { put: refuse, list: refuse });
    owner.ports.journal.own("s", { put: async () => "first", list: async () => [] });
    const put = stale.ports.journal.put({ sessionId: "s", stepId: "1.0.1", key: "k", value: { v: 1 } });
    await owner.tick(100);
    letGo();
    expect(await put).toBe("first");
    expect(asked).toBeGreaterThan(0);
  });

  it("is buried once there is room for it, when it was given up while there was none", async () => {
    const one = await host();
    const { jsm } = await one.link.connected();
    const { dead } = one.link.names.streams;
    await jsm.streams.update(dead, { max_msg_size: 1 });
    const given: Promise<void>[] = [];
    one.ports.steps.serve({ agents: ["a"], slots: 1, run: async (claim) => void given.push(claim.giveUp("no use")) });
    await one.ports.steps.offer(step("1.0.1"));
    await until("it is given up", () => given.length === 1);
    await Promise.all(given);
    expect(await one.ports.deadLetters.list()).toEqual([]);
    await jsm.streams.update(dead, { max_msg_size: -1 });
    await until("it is buried", async () => (await one.ports.deadLetters.list())[0]?.reason === "no use");
    await until("it may be offered again", async () => (await one.ports.steps.offer(step("1.0.1"))) === "queued");
  });
});
