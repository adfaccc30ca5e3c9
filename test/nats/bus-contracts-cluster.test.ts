import { afterAll, beforeAll } from "vitest";
import { startCluster, type NatsCluster } from "../support/nats-cluster.ts";
import { busContracts } from "./contracts.ts";

let cluster: NatsCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: "2.15" });
});
afterAll(() => cluster[Symbol.asyncDispose]());

busContracts(
  "the NATS bus on three servers, every step over the bus",
  () => cluster.servers.map((server) => server.url),
  {
    localFirst: false,
    replicas: 3,
    tenant: "contracts",
    wipe: true,
  },
);
