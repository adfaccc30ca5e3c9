import * as vitest from "vitest";
import { createSessionStore } from "../../src/nats/session-store.ts";
import { sessionStoreContract } from "../../src/testing/session-store-contract.ts";
import { startCluster } from "../support/nats-cluster.ts";
import { startNats } from "../support/nats.ts";
import { emptied, openStore, type StoreWorld } from "./store-world.ts";

interface Servers {
  readonly urls: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Servers and their link are made once; every test begins on emptied streams. */
function onServers(name: string, start: () => Promise<Servers>): void {
  let world: Promise<StoreWorld & { servers: Servers }> | undefined;
  const open = async (): Promise<StoreWorld & { servers: Servers }> => {
    const servers = await start();
    return { ...openStore(servers.urls), servers };
  };
  sessionStoreContract(
    name,
    async () => {
      const { link } = await (world ??= open());
      await emptied(link);
      return createSessionStore(link);
    },
    vitest,
  );
  vitest.afterAll(async () => {
    const made = await world;
    await made?.close();
    await made?.servers[Symbol.asyncDispose]();
  });
}

for (const version of ["2.10", "2.15"] as const) {
  onServers(`NatsSessionStore (one server, ${version})`, async () => {
    const server = await startNats({ version });
    return { urls: [server.url], [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  });
  onServers(`NatsSessionStore (three servers, ${version})`, () => startCluster({ version }));
}
