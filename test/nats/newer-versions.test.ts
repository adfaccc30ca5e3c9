// What a newer program left in a log on NATS is refused by name, by whoever reads it, and nothing is written behind it.

import { headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checksum } from "../../src/base/crc.ts";
import { encodeValue } from "../../src/base/codec.ts";
import { encodeRecord } from "../../src/base/record.ts";
import { OrchestraHost, OrchestraInstance } from "../../src/index.ts";
import { natsBus } from "../../src/nats/index.ts";
import { AFTER_HEADER, MARK_HEADER, N_HEADER, SESSION_HEADER } from "../../src/nats/store-records.ts";
import { keys } from "../../src/state/level-keys.ts";
import type { SessionStore } from "../../src/state/ports.ts";
import { commitOf, entryOf } from "../../src/testing/session-samples.ts";
import { type NatsServer, startNats, until } from "../support/nats.ts";
import { freshTenant, keepingLogger } from "./bus-world.ts";
import { openStore, type StoreWorld } from "./store-world.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());

/** A message of the log as a program writes it whose formats are these. */
function written(sessionId: string, n: number, formats: { frame?: number; logged?: number; commit?: number }): Buffer {
  const place = keys.commit(sessionId, n);
  const { frame = 1, logged = 1, commit = 2 } = formats;
  const head = encodeValue([logged, false, null]);
  const fields = encodeValue([commit, n, 1, `c-${n}`, "host-1", 1, null, []]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(head.byteLength);
  const body = Buffer.concat([size, head, encodeRecord("commit", fields, place)]);
  const record = Buffer.from(encodeRecord("logged", body, place));
  record[0] = frame;
  record.writeUInt32LE(checksum(body, checksum(record.subarray(0, 2), checksum(place))), 2);
  return record;
}

/** The second commit of the session. */
async function writeNewer(world: StoreWorld, sessionId: string, payload: Uint8Array): Promise<void> {
  const { js, jsm } = await world.link.connected();
  const { names } = world.link;
  const before = await jsm.streams.getMessage(names.streams.log, { last_by_subj: names.log(sessionId) });
  const says = headers();
  says.set(SESSION_HEADER, sessionId);
  says.set(N_HEADER, "2");
  says.set(AFTER_HEADER, String(before?.seq));
  says.set(MARK_HEADER, "0");
  await js.publish(names.log(sessionId), payload, { headers: says });
}

async function readAll(store: SessionStore, sessionId: string): Promise<void> {
  for await (const { n } of store.read(sessionId, 2)) expect(n).toBe(2);
}

describe.each([
  { what: "a commit", formats: { commit: 7 }, message: /format 7.*up to 2/ },
  { what: "a message of the log", formats: { logged: 8 }, message: /format 8.*up to 1/ },
  { what: "a record", formats: { frame: 9 }, message: /format 9.*up to 1/ },
])("$what of a newer format", ({ formats, message }) => {
  it("is refused to whoever reads it, and nothing is appended behind it", async () => {
    const tenant = freshTenant();
    const worlds = [1, 2].map(() => openStore(server.url, { tenant }));
    const [world, other] = worlds as [StoreWorld, StoreWorld];
    try {
      const first = { sessionId: "s", expected: 0, commit: commitOf(1), entry: entryOf("s") };
      expect(await world.store.append(first)).toEqual({ ok: true });
      await writeNewer(world, "s", written("s", 2, formats));
      const refusal = { code: "ORCH_STORE_VERSION", message: expect.stringMatching(message) };
      for (const { store } of [world, other]) {
        await expect(store.last("s")).rejects.toMatchObject(refusal);
        await expect(readAll(store, "s")).rejects.toMatchObject(refusal);
        for (const expected of [1, 2]) {
          const commit = commitOf(expected + 1);
          await expect(store.append({ sessionId: "s", expected, commit })).rejects.toMatchObject(refusal);
        }
      }
      const { jsm } = await world.link.connected();
      expect((await jsm.streams.info(world.link.names.streams.log)).state.messages).toBe(2);
    } finally {
      for (const one of worlds) await one.close();
    }
  });
});

it("a session with such a commit is left alone by a host, which logs why and runs the others", async () => {
  const tenant = freshTenant();
  const world = openStore(server.url, { tenant, init: { leaseMs: 1_000 } });
  const bus = natsBus({ servers: server.url, tenant, renewMs: 250 });
  const { logger, logged } = keepingLogger();
  const host = new OrchestraHost({ bus, logger, agents: { A: (x: string) => `${x}a` } });
  const client = new OrchestraInstance({ bus, topology: { nodes: ["A"], edges: [] } });
  try {
    const entry = { ...entryOf("newer"), status: "running", host: "" } as const;
    await world.store.append({ sessionId: "newer", expected: 0, commit: commitOf(1), entry });
    await writeNewer(world, "newer", written("newer", 2, { commit: 7 }));
    await host.start();
    const left = () =>
      logged.find(({ level, fields }) => level === "warn" && fields["sessionId"] === "newer" && "error" in fields);
    bus.live.publish({ sessionId: "orchestra:abandoned", event: { type: "abandoned", sessionId: "newer" } });
    await until("the host says that it leaves the session alone", () => left() !== undefined);
    expect(left()?.fields["error"]).toMatchObject({
      code: "ORCH_STORE_VERSION",
      message: expect.stringMatching(/format 7.*up to 2/),
    });
    expect((await client.execute({ task: "t", sessionId: "s" })).finalResponse).toBe("ta");
    const { jsm } = await world.link.connected();
    const { names } = world.link;
    const last = await jsm.streams.getMessage(names.streams.log, { last_by_subj: names.log("newer") });
    expect(last?.header.get(N_HEADER)).toBe("2");
  } finally {
    await client.close();
    await host.close();
    await bus.close();
    await world.close();
  }
});
