// Payloads too large for one message.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { natsBus, type NatsBus } from "orchestra/nats";
import { createSpill, type Spill } from "../../src/nats/spill.ts";
import { encodeValue } from "../../src/base/codec.ts";
import { hashBytes } from "../../src/base/crc.ts";
import { startNats, type NatsServer } from "../support/nats.ts";

let server: NatsServer;
let bus: NatsBus;
let spill: Spill;
beforeAll(async () => {
  server = await startNats();
  bus = natsBus({ servers: server.url, init: { storage: "memory" } });
  await bus.open();
  spill = createSpill(bus.link);
});
afterAll(async () => {
  await bus.close();
  await server[Symbol.asyncDispose]();
});

const large = (bytes: number, fill: string) => ({ text: fill.repeat(bytes), at: new Date(7) });
async function stored(): Promise<number> {
  const { jsm } = await bus.link.connected();
  return (await jsm.streams.info("ORCH_SPILL")).state.messages;
}
const subjectOf = (value: unknown, chunk: number): string => bus.link.names.spill(hashBytes(encodeValue(value)), chunk);

describe("a payload too large for one message", () => {
  it("travels as a reference, and small ones as they are", async () => {
    const before = await stored();
    const small = await spill.pack({ text: "otters" });
    expect([await spill.unpack(small, "x"), await stored()]).toEqual([{ text: "otters" }, before]);
    const value = large(1_300_000, "a");
    const packed = await spill.pack(value);
    expect(packed.byteLength).toBeLessThan(200);
    expect(await spill.unpack(packed, "x")).toEqual(value);
    expect(await stored()).toBe(before + 3);
  });

  it("is stored once, however often it is packed", async () => {
    const value = large(600_000, "b");
    await Promise.all([spill.pack(value), spill.pack(value), spill.pack(value)]);
    const after = await stored();
    await spill.pack(value);
    expect(await stored()).toBe(after);
  });

  it("is told by name when a chunk of it is missing, or is not what was stored", async () => {
    const { jsm, js } = await bus.link.connected();
    const lost = large(600_000, "c");
    const packed = await spill.pack(lost);
    await jsm.streams.purge("ORCH_SPILL", { filter: subjectOf(lost, 1) });
    await expect(spill.unpack(packed, "step 1.0.1")).rejects.toMatchObject({
      code: "ORCH_BUS_PAYLOAD",
      message: expect.stringMatching(/^step 1\.0\.1 cannot be read: chunk 1 of its \d+ bytes is missing$/),
    });
    const changed = large(600_000, "d");
    const other = await spill.pack(changed);
    await js.publish(subjectOf(changed, 0), new Uint8Array(512 * 1024));
    await expect(spill.unpack(other, "step 1.0.2")).rejects.toMatchObject({
      code: "ORCH_BUS_PAYLOAD",
      message: expect.stringContaining("not what was stored"),
    });
  });

  it("is refused above the limit of what can be encoded", async () => {
    await expect(spill.pack("x".repeat(65 * 1024 * 1024))).rejects.toMatchObject({ code: "ORCH_PAYLOAD_TOO_LARGE" });
  });
});
