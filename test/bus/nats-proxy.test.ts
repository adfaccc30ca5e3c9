import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import fc from "fast-check";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { NatsFrames } from "../support/nats-frames.ts";
import { isPubAck, type NatsProxy, startNatsProxy } from "../support/nats-proxy.ts";
import { type NatsServer, startNats, until } from "../support/nats.ts";

describe("frames of the NATS protocol", () => {
  const wire = Buffer.from(
    'INFO {"server_name":"a b"}\r\nPING\r\nMSG a.b 1 5\r\nhello\r\nMSG a.b 1 in.box 2\r\n\r\n\r\n' +
      "HMSG a.b 2 in.box 17 19\r\nNATS/1.0\r\nA:1\r\n\r\nok\r\nHPUB c re.ply 12 12\r\nNATS/1.0\r\n\r\n\r\nPUB d 0\r\n\r\n+OK\r\n",
  );

  it("are the same however the bytes are cut", () => {
    const whole = new NatsFrames().push(wire);
    expect(whole.map(({ verb, subject, replyTo, payload }) => [verb, subject, replyTo, payload?.toString()])).toEqual([
      ["INFO", undefined, undefined, undefined],
      ["PING", undefined, undefined, undefined],
      ["MSG", "a.b", undefined, "hello"],
      ["MSG", "a.b", "in.box", "\r\n"],
      ["HMSG", "a.b", "in.box", "ok"],
      ["HPUB", "c", "re.ply", ""],
      ["PUB", "d", undefined, ""],
      ["+OK", undefined, undefined, undefined],
    ]);
    expect(Buffer.concat(whole.map(({ bytes }) => bytes))).toEqual(wire);
    fc.assert(
      fc.property(fc.array(fc.nat(wire.length), { maxLength: 20 }), (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), wire.length];
        const frames = new NatsFrames();
        const seen = at.slice(1).flatMap((end, index) => frames.push(wire.subarray(at[index], end)));
        expect(seen).toEqual(whole);
      }),
    );
  });
});

describe("a proxy between a client and a nats-server", () => {
  let server: NatsServer;
  let proxy: NatsProxy;
  let direct: NatsConnection;
  let proxied: NatsConnection;

  beforeAll(async () => {
    server = await startNats();
    direct = await connect({ servers: server.url });
    await (await jetstreamManager(direct)).streams.add({ name: "KEPT", subjects: ["kept.>"] });
    return async () => {
      await direct.close();
      await server[Symbol.asyncDispose]();
    };
  });

  beforeEach(async () => {
    proxy = await startNatsProxy(server.url);
    proxied = await connect({
      servers: proxy.url,
      reconnectTimeWait: 20,
      reconnectJitter: 0,
      maxReconnectAttempts: -1,
    });
    await (await jetstreamManager(direct)).streams.purge("KEPT");
    return async () => {
      await proxied.close();
      await proxy[Symbol.asyncDispose]();
    };
  });

  async function stored(): Promise<number> {
    return (await (await jetstreamManager(direct)).streams.info("KEPT")).state.messages;
  }

  it("eats the acknowledgement of one subject: what was published is stored, and its sender does not know", async () => {
    const js = jetstream(proxied);
    const eaten = proxy.intercept({ from: "server", when: isPubAck({ stream: "KEPT", subject: "kept.a" }), times: 1 });
    await js.publish("kept.b", "one");
    await expect(js.publish("kept.a", "two", { timeout: 300 })).rejects.toThrow(/timeout/);
    expect(eaten.caught).toHaveLength(1);
    expect(await stored()).toBe(2);
    await js.publish("kept.a", "three");
    expect(await stored()).toBe(3);
  });

  it("cuts the connection in place of an acknowledgement, and lets the client come back", async () => {
    const js = jetstream(proxied);
    const eaten = proxy.intercept({ from: "server", when: isPubAck(), then: "cut", times: 1 });
    await expect(js.publish("kept.a", "one", { timeout: 300 })).rejects.toThrow();
    await eaten.first;
    await until("the client is back", () => proxy.connections === 1);
    await js.publish("kept.b", "two");
    expect(await stored()).toBe(2);
  });

  it("loses what a client publishes", async () => {
    const eaten = proxy.intercept({ from: "client", when: ({ subject }) => subject === "kept.a" });
    proxied.publish("kept.a", "one");
    proxied.publish("kept.b", "two");
    await proxied.flush();
    expect(await stored()).toBe(1);
    eaten.end();
    proxied.publish("kept.a", "three");
    await proxied.flush();
    expect(await stored()).toBe(2);
  });

  it("stands half-open: connected on both sides, and nothing comes through until it is released", async () => {
    await proxied.flush();
    proxy.hold();
    const answer = proxied.flush().then(() => "answered");
    expect(await Promise.race([answer, sleep(200, "silent")])).toBe("silent");
    expect(proxied.isClosed()).toBe(false);
    expect(proxy.connections).toBe(1);
    proxy.release();
    expect(await answer).toBe("answered");
  });

  it("delays, and lets nothing overtake what is delayed", async () => {
    const seen: string[] = [];
    proxied.subscribe("in.order", { callback: (_error, message) => void seen.push(message.string()) });
    await proxied.flush();
    proxy.delay(100);
    const arrived = new Promise<void>((resolve) => {
      const when = ({ payload }: { payload?: Buffer }) => {
        if (payload?.toString() === "3") resolve();
        return false;
      };
      proxy.intercept({ from: "client", when });
    });
    for (const text of ["1", "2", "3"]) proxied.publish("in.order", text);
    await arrived;
    expect(seen).toEqual([]);
    proxy.delay(0);
    proxied.publish("in.order", "4");
    await until("all four are there", () => seen.length === 4);
    expect(seen).toEqual(["1", "2", "3", "4"]);
  });

  it("lets nobody in while it refuses", async () => {
    proxy.refuse();
    await expect(connect({ servers: proxy.url, reconnect: false, timeout: 2_000 })).rejects.toThrow();
    proxy.accept();
    const late = await connect({ servers: proxy.url });
    await late.close();
  });
});
