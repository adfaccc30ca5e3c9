import { afterAll, beforeAll } from "vitest";
import { startNats, type NatsServer } from "../support/nats.ts";
import { busContracts } from "./contracts.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ version: "2.10" });
});
afterAll(async () => {
  // In order it would take its time over all the streams.
  await server.kill();
  await server[Symbol.asyncDispose]();
});

busContracts("the NATS bus on 2.10, every step over the bus", () => [server.url], { localFirst: false });
