// What happens to steps and results when workers, hosts, streams or messages are lost. One server for all; a tenant for each.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { createInbox, headers } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Claim, StepMessage, StepResult } from "../../src/bus/ports.ts";
import { code, request, run, topology, world } from "../runtime/world.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";
import { freshTenant, keepingLogger, openBus, type BusWorld, type BusWorldOptions } from "./bus-world.ts";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./worker-child.ts", import.meta.url));

let server: NatsServer;
let tenant = "";
const open: BusWorld[] = [];
const children: ChildProcess[] = [];

beforeAll(async () => {
  server = await startNats();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await Promise.all(open.splice(0).map((host) => host.close()));
  tenant = "";
});
afterAll(async () => {
  // In order it would take its time over all the streams.
  await server.kill();
  await server[Symbol.asyncDispose]();
});

/** Hosts of one test share a bus. */
async function host(options: BusWorldOptions = {}): Promise<BusWorld> {
  if (tenant === "") tenant = freshTenant();
  const one = await openBus(server.url, { tenant, localFirst: false, ...options });
  open.push(one);
  return one;
}

function childWorker(mode: "hang" | "die") {
  const child = spawn(process.execPath, [CHILD, server.url, tenant, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  return { child, lines };
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
const HOST = {
  agents: [],
  sessions: 0,
  version: "1",
  slots: 1,
  running: 0,
  topologies: [],
  startedAtMs: 1,
  adopts: true,
};
const result = (stepId: string, body: unknown): StepResult => ({ sessionId: "s", stepId, attempt: 1, body });

function serve(on: BusWorld, work: (claim: Claim) => Promise<void> = (claim) => claim.done(), slots = 2) {
  const claims: Claim[] = [];
  const stepServer = on.ports.steps.serve({
    agents: ["a"],
    slots,
    run(claim) {
      claims.push(claim);
      return work(claim);
    },
  });
  return { claims, stepServer };
}

async function messagesIn(on: BusWorld, stream: string): Promise<number> {
  const { jsm } = await on.link.connected();
  return (await jsm.streams.info(stream)).state.messages;
}

describe("a worker", () => {
  it("that is killed in the middle of a step leaves it to another, as the next delivery", async () => {
    const owner = await host();
    const { child, lines } = childWorker("hang");
    await until("the child serves", () => lines.includes("serving"));
    await owner.ports.steps.offer(step("1.0.1"));
    await until("the child has claimed the step", () => lines.includes("claimed 1.0.1 1"));
    child.kill("SIGKILL");
    const { claims } = serve(await host());
    await until("another has it", () => claims.length === 1);
    expect(claims[0]?.delivery).toBe(2);
    await until(
      "the step has left the queue",
      async () => (await messagesIn(owner, owner.link.names.streams.work)) === 0,
    );
  });

  it("whose process stands still for too long runs a step twice, with one result and a warning that names it", async () => {
    const { logger, logged } = keepingLogger();
    const [blocked, other] = [await host({ logger }), await host()];
    const told: unknown[] = [];
    other.ports.results.watch("s", (one) => told.push(one.body));
    const answers: string[] = [];
    const put = async (claim: Claim, by: string): Promise<void> => {
      answers.push(await other.ports.results.put(result(claim.step.stepId, by)));
      await claim.done();
    };
    let resume: () => void = () => undefined;
    const resumed = new Promise<void>((resolve) => (resume = resolve));
    const blockAndPut = async (claim: Claim): Promise<void> => {
      // Both hosts stand still: it is the server that takes the claim back.
      const untilMs = performance.now() + 1_400;
      while (performance.now() < untilMs);
      await resumed;
      await put(claim, "blocked");
    };
    const first = serve(blocked, blockAndPut, 1);
    await other.ports.steps.offer(step("1.0.1"));
    await until("the step is claimed", () => first.claims.length === 1);
    const second = serve(other, (claim) => put(claim, "other"));
    await until("another has it, too", () => second.claims.length === 1);
    resume();
    await until("both have finished", () => answers.length === 2);
    await until("the owner is told", () => told.length > 0);
    await other.tick(200);
    expect(answers.sort()).toEqual(["already", "first"]);
    expect(told).toEqual([(await other.ports.results.get("s", "1.0.1", 1))?.body]);
    expect(logged.filter(({ level }) => level === "warn").map(({ fields }) => fields["stepId"])).toContain("1.0.1");
  });
});

describe("a step", () => {
  it("that kills each worker that takes it becomes a dead letter, and leaves the queue", async () => {
    const owner = await host();
    const letters: string[] = [];
    owner.ports.deadLetters.watch("s", (letter) => letters.push(letter.reason));
    await owner.ports.steps.offer(step("1.0.1"));
    for (let delivery = 1; delivery <= 3; delivery++) {
      const { child, lines } = childWorker("die");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      await until("it said what it claimed", () => lines.includes(`claimed 1.0.1 ${delivery}`));
    }
    const survivor = serve(await host());
    await until("the step is buried", () => letters.length === 1);
    expect(letters[0]).toContain("handed out 3 times");
    expect(survivor.claims).toEqual([]);
    expect(await messagesIn(owner, owner.link.names.streams.work)).toBe(0);
    const [letter] = await owner.ports.deadLetters.list();
    expect((await owner.ports.deadLetters.get(letter?.id ?? ""))?.step).toEqual(step("1.0.1"));
    expect(await owner.ports.steps.offer(step("1.0.1"))).toBe("queued");
  });

  it("whose message cannot be read becomes a dead letter that says so", async () => {
    const owner = await host();
    const { js } = await owner.link.connected();
    const sent = headers();
    sent.set("Orch-Session", "s");
    sent.set("Orch-Step", "1.0.1");
    await js.publish(owner.link.names.work("a", "s", "1.0.1", 1), "damaged on its way", { headers: sent });
    serve(owner);
    await until("it is buried", async () => (await owner.ports.deadLetters.list()).length === 1);
    expect((await owner.ports.deadLetters.list())[0]).toMatchObject({ sessionId: "s", stepId: "1.0.1", agent: "a" });
    expect((await owner.ports.deadLetters.list())[0]?.reason).toContain("cannot be read");
  });

  it("that its stream has lost is sent again", async () => {
    const owner = await host({ tuning: { stepLookMs: 100 } });
    await owner.ports.steps.offer(step("1.0.1"));
    const { jsm } = await owner.link.connected();
    await jsm.streams.purge(owner.link.names.streams.work);
    const { claims } = serve(owner, () => new Promise(() => undefined));
    await until("it is handed out", () => claims.length === 1);
    expect(claims[0]?.step).toEqual(step("1.0.1"));
  });

  it.each(["its advisory", "a count, when its advisory was lost"])(
    "that the server hands out no more is buried by %s",
    async (way) => {
      const owner = await host({ tuning: { graveLookMs: 200 } });
      const { nc, jsm } = await owner.link.connected();
      const { work, dead } = owner.link.names.streams;
      // Takes the place of hosts that die before they can bury anything.
      await owner.ports.steps.offer(step("1.0.1"));
      const config = {
        durable_name: "agent_a",
        ack_policy: "explicit",
        max_deliver: 1,
        ack_wait: 100_000_000,
      } as const;
      const filter_subject = owner.link.names.pattern("work", "a", "*", "*", "*");
      await jsm.consumers.add(work, { ...config, filter_subject });
      for (let i = 0; i < 2; i++) {
        const answers = nc.subscribe(createInbox(), { max: 1, timeout: 2_000 });
        nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${work}.agent_a`, '{"batch":1,"expires":300000000}', {
          reply: answers.getSubject(),
        });
        for await (const _answer of answers);
      }
      await until("the server has given up", async () => (await messagesIn(owner, dead)) === 1);
      if (way !== "its advisory") await jsm.streams.purge(dead);
      expect(await messagesIn(owner, work)).toBe(1);
      owner.ports.steps.serve({ agents: ["b"], slots: 1, run: (claim) => claim.done() });
      await until("it is buried", async () => (await owner.ports.deadLetters.list()).length === 1);
      expect((await owner.ports.deadLetters.list())[0]).toMatchObject({ stepId: "1.0.1", deliveries: 1 });
      await until("the queue is empty", async () => (await messagesIn(owner, work)) === 0);
      await until("only the letter is left", async () => (await messagesIn(owner, dead)) === 1);
    },
  );
});

describe("a result", () => {
  it("that the register has no room for is told as such, and is taken once there is room", async () => {
    const owner = await host();
    const { jsm } = await owner.link.connected();
    const { results } = owner.link.names.streams;
    await jsm.streams.update(results, { max_bytes: 1_000 });
    const body = "x".repeat(2_000);
    await expect(owner.ports.results.put(result("1.0.1", body))).rejects.toMatchObject({ code: "ORCH_OVERLOADED" });
    expect(await owner.ports.results.get("s", "1.0.1", 1)).toBe(undefined);
    await jsm.streams.update(results, { max_bytes: -1 });
    expect(await owner.ports.results.put(result("1.0.1", body))).toBe("first");
  });

  it("leaves its step claimed while it cannot be registered", async () => {
    const bus = await host({ ackWaitMs: 30_000 });
    const { logger, logged } = keepingLogger();
    const { engine } = world({ bus: { ...bus.ports, name: "nats" }, logger });
    const { jsm } = await bus.link.connected();
    const { results } = bus.link.names.streams;
    await jsm.streams.update(results, { max_bytes: 1 });
    let calls = 0;
    const outcome = run(engine, "t", topology("A"), { A: () => ++calls });
    await until("its result is refused", () => logged.some(({ message }) => message.includes("it is kept")));
    await jsm.streams.update(results, { max_bytes: -1 });
    expect(await outcome).toMatchObject({ status: "completed", finalResponse: 1 });
    expect(calls).toBe(1);
    await engine.close();
  });

  it("that was put while its owner was cut off reaches it when it is back", async () => {
    const [owner, worker] = [await host(), await host()];
    const told: unknown[] = [];
    owner.ports.results.watch("s", (one) => told.push(one.body));
    await owner.ports.steps.offer(step("1.0.1"));
    await server.kill();
    const put = worker.ports.results.put(result("1.0.1", "late"));
    await server.start();
    expect(await put).toBe("first");
    await until("the owner is told", () => told.length > 0);
    expect(told).toEqual(["late"]);
  });

  it("of a hint that was lost is found for a step that was sent", async () => {
    const owner = await host({ tuning: { stepLookMs: 100 } });
    const told: unknown[] = [];
    owner.ports.results.watch("s", (one) => told.push(one.body));
    await owner.ports.steps.offer(step("1.0.1"));
    const { js } = await owner.link.connected();
    // In the register without a word to anybody.
    await js.publish(owner.link.names.result("s", "1.0.1", 1), await owner.spill.pack(result("1.0.1", "quiet")));
    await until("the owner finds it", () => told.length > 0);
    expect(told).toEqual(["quiet"]);
  });
});

describe("what an agent does", () => {
  it("ends its step and leaves the worker healthy: throwing, results that cannot be stored, results of 80 MB", async () => {
    const bus = await host();
    const { engine } = world({ bus: { ...bus.ports, name: "nats" } });
    const agents = code({
      Throws: () => {
        throw new Error("broken");
      },
      Function: () => () => 1,
      Huge: () => new Uint8Array(80 * 1024 * 1024),
      // Each may be stored; together they are more than a bus takes.
      Sum: (_input, context) => {
        for (let i = 0; i < 5; i++) context.state.set(`k${i}`, String(i).repeat(15 * 1024 * 1024));
        return "sum";
      },
      Large: () => "x".repeat(3_000_000),
      Fine: () => "fine",
    });
    const outcomes: Record<string, string | undefined> = {};
    for (const name of ["Throws", "Function", "Huge", "Sum"]) {
      const handle = await engine.start(request("t", topology(name), agents));
      outcomes[name] = (await handle.outcome).error?.code;
    }
    expect(outcomes).toEqual({
      Throws: "ORCH_AGENT_FAILED",
      Function: "ORCH_NOT_SERIALIZABLE",
      Huge: "ORCH_PAYLOAD_TOO_LARGE",
      Sum: "ORCH_PAYLOAD_TOO_LARGE",
    });
    expect((await run(engine, "t", topology("Large"), agents)).finalResponse).toBe("x".repeat(3_000_000));
    expect((await run(engine, "t", topology("Fine"), agents)).finalResponse).toBe("fine");
    await engine.close();
  });
});

describe("live events", () => {
  it("that come faster than they are taken are dropped and counted, and hold up no step", async () => {
    const [here, there] = [await host(), await host()];
    const seen: unknown[] = [];
    const slow = here.ports.live.subscribe("s", (event) => seen.push(event), { capacity: 50 });
    const all = here.ports.live.subscribe("s", () => undefined, { capacity: 100_000 });
    await here.tick(200);
    there.ports.live.publish({ sessionId: "t", event: "connects" });
    await here.tick(200);
    for (let i = 0; i < 20_000; i++) there.ports.live.publish({ sessionId: "s", event: i });
    await there.ports.steps.offer(step("1.0.1"));
    const { claims } = serve(here);
    await until("the step is handed out", () => claims.length === 1);
    await until("the last event is seen", () => seen.at(-1) === 19_999);
    expect(slow.dropped).toBeGreaterThan(0);
    expect(seen.length + slow.dropped).toBe(20_000);
    expect(all.dropped).toBe(0);
  });
});

describe("a host that vanished", () => {
  it("takes back its place in the list from what cannot be read there", async () => {
    const [one, other] = [await host(), await host()];
    await one.ports.liveness.announce({ ...HOST, host: "h" });
    const { nc } = await other.link.connected();
    nc.publish(`$KV.${other.link.names.buckets.hosts}.h`, "garbage");
    await nc.flush();
    await until("it is back", async () => (await other.ports.liveness.alive()).some((alive) => alive.host === "h"));
  });

  it("is seen to be gone by who watches, without anybody saying so", async () => {
    const [watching, vanishing] = [await host(), await host()];
    let alive: string[] = [];
    watching.ports.liveness.watch((hosts) => (alive = hosts.map((one) => one.host).sort()));
    await watching.ports.liveness.announce({ ...HOST, host: "stays" });
    const lease = await vanishing.ports.liveness.announce({ ...HOST, host: "goes" });
    await until("both are seen", () => alive.join() === "goes,stays");
    const held: boolean[] = [];
    lease.held.watch((now) => held.push(now));
    // Its connection ends without a word; the process goes on.
    await (await vanishing.link.connected()).nc.close();
    vanishing.link.connected = () => new Promise(() => undefined);
    await until("one is seen to be gone", () => alive.join() === "stays");
    await until("it knows itself that it may be taken for dead", () => held.at(-1) === false);
    expect(lease.held.now()).toBe(false);
    expect((await watching.ports.liveness.alive()).map((one) => one.host)).toEqual(["stays"]);
  });
});

describe("a journal entry", () => {
  it("waits for the owner that takes over, on whichever host", async () => {
    const patient = { tuning: { journalPatienceMs: 10_000 } };
    const [worker, next] = [await host(patient), await host(patient)];
    const put = worker.ports.journal.put({ sessionId: "s", stepId: "1.0.1", key: "k", value: { v: 1 } });
    await worker.tick(300);
    const entries: unknown[] = [];
    next.ports.journal.own("s", {
      put: async (entry) => {
        entries.push(entry.value);
        return "first";
      },
      list: async () => [],
    });
    expect(await put).toBe("first");
    expect(entries).toEqual([{ v: 1 }]);
  });

  it("has no owner, told without waiting for one, after its last owner let go", async () => {
    const patient = { tuning: { journalPatienceMs: 3_600_000 } };
    const [asking, owner] = [await host(patient), await host(patient)];
    const owns = { put: () => Promise.resolve("first" as const), list: () => Promise.resolve([]) };
    const letGo = owner.ports.journal.own("s", owns);
    await owner.tick(300);
    expect(await asking.ports.journal.isOwned("s")).toBe(true);
    letGo();
    await owner.tick(300);
    expect(await asking.ports.journal.isOwned("s")).toBe(false);
  });
});
