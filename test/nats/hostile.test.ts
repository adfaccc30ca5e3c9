// Payloads of every wrong kind on every subject: refused and reported, while the host stays healthy.

import { headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { natsBus, type NatsBus } from "orchestra/nats";
import { encodeValue } from "../../src/base/codec.ts";
import type { Engine } from "../../src/runtime/engine-api.ts";
import { encodeAs, encodePayload } from "../../src/nats/wire.ts";
import { code, deferred, request, topology, world } from "../runtime/world.ts";
import { startNats, type NatsServer } from "../support/nats.ts";

const PAYLOADS: readonly (readonly [string, Uint8Array])[] = [
  ["nothing", new Uint8Array()],
  ["text", Buffer.from("hello")],
  ["JSON", Buffer.from('{"sessionId":"s","__proto__":{"polluted":true}}')],
  ["random bytes", Uint8Array.from({ length: 300 }, (_, i) => (i * 7919 + 13) % 256)],
  ["a frame cut short", encodePayload({ sessionId: "s" }).subarray(0, 9)],
  ["a frame with a changed byte", encodePayload({ sessionId: "s" }).map((byte, i) => (i === 8 ? byte ^ 1 : byte))],
  ["a regular expression", encodeAs("message", Uint8Array.from([0xd4, 0x78, 0, 0x92, 0xa1, 0x61, 0xa1, 0x67]))],
  ["lists in each other", encodeAs("message", new Uint8Array(100_000).fill(0x91))],
  ["a property __proto__", encodeAs("message", Buffer.from("81a95f5f70726f746f5f5f81a8706f6c6c75746564c3", "hex"))],
  ["a value of another shape", encodePayload([1, "two", null])],
  [
    "wrong types in the right fields",
    encodePayload({ sessionId: 5, stepId: {}, attempt: "1", agent: [], id: 1, type: "x", body: 1 }),
  ],
  ["a reference to what is nowhere", encodeAs("spilled", encodeValue({ hash: "0".repeat(64), bytes: 5 }))],
  ["a reference that is none", encodeAs("spilled", encodeValue({ hash: "../../x", bytes: -1 }))],
  ["more bytes than a message may have", new Uint8Array(600 * 1024)],
];

let server: NatsServer;
let bus: NatsBus;
let engine: Engine;
let agents: ReturnType<typeof code>;
const gate = deferred();
const reported: string[] = [];
const unhandled: unknown[] = [];
const noteUnhandled = (error: unknown): void => void unhandled.push(error);

beforeAll(async () => {
  process.on("unhandledRejection", noteUnhandled);
  server = await startNats();
  const report = (_fields: Record<string, unknown>, message: string): void => void reported.push(message);
  const logger = { debug: () => undefined, info: () => undefined, warn: report, error: report, child: () => logger };
  bus = natsBus({ servers: server.url, init: { storage: "memory" }, localFirst: false, logger });
  agents = code({
    Waiter: async (task) => {
      await gate.promise;
      return `${String(task)} waited`;
    },
    Writer: (text) => `${String(text)} written`,
  });
  const hosting = { code: agents, slots: 8, perAgent: {}, adopts: true, topologies: [], version: "test" };
  ({ engine } = world({ bus, store: bus.sessions, host: "h", hosting, logger }));
  await engine.host();
});
afterAll(async () => {
  process.off("unhandledRejection", noteUnhandled);
  await engine.close();
  await bus.close();
  await server[Symbol.asyncDispose]();
});

describe("hostile payloads on every subject", () => {
  it("harm neither the session they are aimed at, nor the host", async () => {
    const handle = await engine.start(request("otters", topology("Waiter -> Writer"), agents, { sessionId: "s" }));
    const { nc, js } = await bus.link.connected();
    const { names } = bus.link;
    // Of the step that runs: readable, and of no use.
    const useless = encodePayload({ sessionId: "s", stepId: "1.0.1", attempt: 1, body: null });
    await js.publish(names.result("s", "1.0.1", 1), useless);
    const subjects = [
      ...[names.inbox("s"), names.done("s"), names.events("s"), names.rpc("s"), names.signal("dead")],
      // Of the very step that comes next, and of attempts and steps there are none of.
      ...[names.result("s", "9.9.9", 1), names.result("s", "1.0.2", 1), names.work("Writer", "s", "9.9.9", 1)],
      ...[names.dead("Nobody", "s", "9.9.9", 1), names.log("another"), names.blob("0".repeat(64), 0)],
      ...[`$KV.${names.buckets.hosts}.stranger`, `$KV.${names.buckets.sessions}.stranger`],
      ...[`$KV.${names.buckets.snapshots}.another.1`, `$KV.${names.buckets.checkpoints}.another.1`],
    ];
    for (const [i, [, payload]] of PAYLOADS.entries())
      for (const subject of subjects) {
        const given = headers();
        given.set("Orch-Session", i % 2 === 0 ? "s" : "\u0000*.>");
        nc.publish(subject, payload, { headers: given, reply: "o.nowhere" });
      }
    nc.publish(
      names.result("s", "1.0.2", 2),
      encodePayload({ sessionId: "s", stepId: "1.0.2", attempt: 2, body: null }),
    );
    await nc.flush();
    await expect.poll(() => reported.length).toBeGreaterThan(0);
    gate.resolve();
    const outcome = await handle.outcome;
    expect([outcome.status, outcome.finalResponse]).toEqual(["completed", "otters waited written"]);
    expect(outcome.trace.map(({ node, attempt }) => [node, attempt])).toEqual([
      ["Waiter", 1],
      ["Waiter", 2],
      ["Writer", 1],
      // Each result that was forged is one: of the attempt it names, not of the step.
      ["Writer", 2],
      ["Writer", 3],
    ]);
    const next = await engine.start(request("again", topology("Writer"), agents, { sessionId: "next" }));
    expect((await next.outcome).finalResponse).toBe("again written");
    expect((await bus.liveness.alive()).map(({ host }) => host)).toEqual(["h"]);
    expect(await bus.inbox.read("s", 0)).toEqual([]);
    // Lists are not held up by what cannot be read in them.
    expect((await bus.sessions.listSessions({ status: "completed" })).map(({ sessionId }) => sessionId)).toEqual([
      "next",
      "s",
    ]);
    await bus.steps.offer({ sessionId: "s", runId: "r", stepId: "9.9.9", agent: "Nobody", attempt: 1, body: null });
    const server = bus.steps.serve({ agents: ["Nobody"], slots: 1, run: (claim) => claim.giveUp("no use") });
    const letters = async () => (await bus.deadLetters.list({ sessionId: "s" })).map(({ reason }) => reason);
    await expect.poll(letters).toContain("no use");
    await server.stop();
  });

  it("are told as damage by who reads a log they stand in", async () => {
    const read = async (): Promise<void> => {
      for await (const commit of bus.sessions.read("another")) throw new Error(`read ${commit.n}`);
    };
    await expect(read()).rejects.toMatchObject({ code: "ORCH_STORE_CORRUPT" });
  });
});
