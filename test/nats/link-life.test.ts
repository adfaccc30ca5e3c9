// What becomes of the connection when the server goes away, stands still, and comes back.

import { connect } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { natsBus, type NatsBus, type NatsBusOptions } from "orchestra/nats";
import { silentLogger } from "../../src/base/logger.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";

let server: NatsServer;
const buses: NatsBus[] = [];
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());
afterEach(async () => {
  server.thaw();
  if (!server.isRunning) await server.start();
  await Promise.all(buses.splice(0).map((bus) => bus.close()));
});

async function opened(options: Partial<NatsBusOptions> = {}): Promise<NatsBus> {
  const bus = natsBus({ servers: server.url, init: true, connectTimeoutMs: 60_000, ...options });
  buses.push(bus);
  await bus.open();
  return bus;
}

/** What the status port told, as it goes on. */
function told(bus: NatsBus): string[] {
  const seen: string[] = [];
  bus.status?.watch((status) => void seen.push(status));
  return seen;
}

describe("a bus whose server is gone", () => {
  it("says that it is reconnecting, fails calls loudly, and is back with the server", async () => {
    const lines: string[] = [];
    await opened();
    const bus = await opened({ logger: collecting(lines), connectTimeoutMs: 2_000 });
    const seen = told(bus);
    await server.kill();
    await until("the bus notices", () => bus.status?.now() === "reconnecting");
    await expect(bus.link.connected()).rejects.toMatchObject({
      code: "ORCH_BUS_UNREACHABLE",
      message: expect.stringMatching(/reconnecting to NATS at nats:.*without success for 2000 ms/),
    });
    await server.start();
    await until("the bus is back", () => bus.status?.now() === "connected");
    await bus.link.connected();
    expect(seen).toEqual(["reconnecting", "connected"]);
    expect(lines).toEqual(["bus: reconnecting", "bus: connected again"]);
  });

  it("says which streams a server has lost, and fails what needs them", async () => {
    const errors: string[] = [];
    const logger = {
      ...silentLogger,
      error: (fields: Record<string, unknown>) => void errors.push(String(fields["error"])),
    };
    const bus = await opened({ logger, tenant: "lossy" });
    const { jsm } = await bus.link.connected();
    await jsm.streams.delete(bus.link.names.streams.inbox);
    await server.kill();
    await until("the bus notices", () => bus.status?.now() === "reconnecting");
    await server.start();
    await until("it is told", () => errors.some((text) => text.includes(`${bus.link.names.streams.inbox} is missing`)));
    await expect(bus.inbox.read("s", 0)).rejects.toMatchObject({ code: "ORCH_BUS_ASSETS" });
  });

  it("lets a call wait for a server that comes back in time", async () => {
    const bus = await opened();
    await server.kill();
    await until("the bus notices", () => bus.status?.now() === "reconnecting");
    const waiting = bus.link.connected();
    await server.start();
    expect((await waiting).nc.isClosed()).toBe(false);
  });

  it("tells of every publish whether it is stored: none vanishes", async () => {
    const bus = await opened({ connectTimeoutMs: 2_000 });
    const { js, jsm } = await bus.link.connected();
    await jsm.streams.purge("ORCH_IN");
    const acknowledged = new Set<string>();
    let refused = 0;
    let stop = false;
    const publishing = (async () => {
      for (let i = 0; !stop; i++) {
        const batch = Array.from({ length: 20 }, async (_, k) => {
          const text = `${i}.${k}`;
          try {
            await bus.link.connected();
            await js.publish("o.in.session", text, { timeout: 500 });
            acknowledged.add(text);
          } catch {
            refused++;
          }
        });
        await Promise.all(batch);
      }
    })();
    await until("some are acknowledged", () => acknowledged.size > 100);
    await server.kill();
    await until("some are refused", () => refused > 0);
    await server.start();
    const before = acknowledged.size;
    await until("it goes on", () => acknowledged.size > before + 100);
    stop = true;
    await publishing;
    const stored = new Set<string>();
    const consumer = await js.consumers.get("ORCH_IN");
    const { num_pending: total } = await consumer.info(true);
    for await (const message of await consumer.fetch({ max_messages: total, expires: 5_000 })) {
      stored.add(message.string());
      if (message.info.pending === 0) break;
    }
    expect([...acknowledged].filter((text) => !stored.has(text))).toEqual([]);
  });

  it("closes although nobody is there", async () => {
    const bus = await opened();
    await server.kill();
    await until("the bus notices", () => bus.status?.now() === "reconnecting");
    await bus.close();
    expect(bus.status?.now()).toBe("closed");
    await expect(bus.link.connected()).rejects.toMatchObject({ code: "ORCH_CLOSED" });
  });
});

describe("a bus whose server stands still", () => {
  it("gives up the connection, and is back when the server goes on", async () => {
    const bus = await opened({ pingIntervalMs: 400 });
    await server.freeze();
    // The client's own defaults would take more than four minutes.
    await until("the bus notices", () => bus.status?.now() === "reconnecting");
    server.thaw();
    await until("the bus is back", () => bus.status?.now() === "connected");
  });

  it("gives it up also while more is being sent than the network takes", async () => {
    const bus = await opened({ pingIntervalMs: 400 });
    await server.freeze();
    const { nc } = await bus.link.connected();
    const chunk = new Uint8Array(512 * 1024);
    for (let i = 0; i < 60; i++) nc.publish("o.ev.session", chunk);
    await until("the bus notices", () => bus.status?.now() === "reconnecting");
  });

  it("closes in a bounded time although the drain is not answered", async () => {
    const bus = await opened({ connectTimeoutMs: 2_000, pingIntervalMs: 60_000 });
    await server.freeze();
    await bus.close();
    expect(bus.status?.now()).toBe("closed");
  });
});

it("sends what is buffered before it closes", async () => {
  const bus = await opened();
  await using watcher = await watching(server, "o.ev.session");
  const { nc } = await bus.link.connected();
  for (let i = 0; i < 2_000; i++) nc.publish("o.ev.session", String(i));
  await bus.close();
  await until("all have arrived", () => watcher.count() === 2_000);
});

async function watching(at: NatsServer, subject: string) {
  const nc = await connect({ servers: at.url });
  let received = 0;
  nc.subscribe(subject, { callback: () => void received++ });
  await nc.flush();
  return { count: () => received, [Symbol.asyncDispose]: () => nc.close() };
}

function collecting(lines: string[]) {
  const line = (_fields: Record<string, unknown>, message: string): void => void lines.push(message);
  const logger = { debug: line, info: line, warn: line, error: line, child: () => logger };
  return logger;
}
