import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { LevelStorage, OrchestraInstance, StateManager } from "../../src/index.ts";
import { natsBus } from "../../src/nats/index.ts";
import { startNatsProxy } from "../support/nats-proxy.ts";
import { type NatsServer, startNats } from "../support/nats.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";

const TOPOLOGY = { nodes: ["A", "B"], edges: ["A -> B"] };

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ version: "2.15" });
});
afterAll(() => server[Symbol.asyncDispose]());

function instanceAt(servers: string, folder: string): OrchestraInstance {
  const bus = natsBus({ servers, init: true });
  const instance = new OrchestraInstance({
    topology: TOPOLOGY,
    agents: { A: (x: string) => `${x}${"a".repeat(5_000)}`, B: (x: string) => x.length },
    bus,
    stateManager: new StateManager({ storage: new LevelStorage(folder) }),
  });
  onTestFinished(() => bus.close());
  onTestFinished(() => instance.close());
  return instance;
}

async function eventsOf(instance: OrchestraInstance, sessionId: string): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of instance.events(sessionId, { untilNow: true })) types.push(type);
  return types;
}

describe("a folder beside a bus", () => {
  it("holds a copy of the logs, from which a later process reads what the bus need not send again", async () => {
    const folder = await temporaryFolder();
    const first = instanceAt(server.url, folder);
    const result = await first.execute({ task: "t", sessionId: "s" });
    expect([result.finalResponse, result.metadata.durability]).toEqual([5_001, "process"]);
    const events = await eventsOf(first, "s");
    await first.close();

    const local = new LevelStorage(folder);
    const held: number[] = [];
    for await (const { n } of local.read("s")) held.push(n);
    expect((await local.verify()).problems).toEqual([]);
    await local.close();
    expect(held.length).toBeGreaterThan(2);

    const proxy = await startNatsProxy(server.url);
    let bytes = 0;
    proxy.intercept({
      from: "server",
      when: ({ payload, subject }) => {
        if (subject?.includes("_INBOX") === true) bytes = Math.max(bytes, payload?.byteLength ?? 0);
        return false;
      },
    });
    const second = instanceAt(proxy.url, folder);
    expect(await eventsOf(second, "s")).toEqual(events);
    // The commit with A's 5,000 letters was not among what was sent.
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(5_000);
    expect((await second.listSessions()).map(({ sessionId, status }) => [sessionId, status])).toEqual([
      ["s", "completed"],
    ]);
  });
});
