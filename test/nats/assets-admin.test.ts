// Streams made while servers of a cluster are still coming up. A cluster shows that for a moment only: the refusal is put in.

import { JetStreamApiError, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { AssetAdmin } from "../../src/nats/assets-admin.ts";
import { namesOf } from "../../src/nats/names.ts";
import { startNats, type NatsServer } from "../support/nats.ts";
import { freshTenant } from "./bus-world.ts";

let server: NatsServer;
let nc: NatsConnection;
let jsm: JetStreamManager;
beforeAll(async () => {
  server = await startNats();
  nc = await connect({ servers: server.url });
  jsm = await jetstreamManager(nc);
});
afterAll(async () => {
  await nc.close();
  await server[Symbol.asyncDispose]();
});

/** Its server refuses the first streams as a leader does that does not know its peers yet. */
function admin(refusals: number, patienceMs: number, why = "peer offline"): AssetAdmin {
  let left = refusals;
  const add: JetStreamManager["streams"]["add"] = async (config) => {
    if (left-- <= 0) return jsm.streams.add(config);
    throw new JetStreamApiError({ code: 400, err_code: 10005, description: `no suitable peers for placement, ${why}` });
  };
  const streams = new Proxy(jsm.streams, {
    get: (real, key) => {
      const value: unknown = key === "add" ? add : Reflect.get(real, key);
      return typeof value === "function" ? value.bind(real) : value;
    },
  });
  return new AssetAdmin({
    nc,
    jsm: { ...jsm, streams },
    names: namesOf({ tenant: freshTenant() }),
    clock: systemClock(),
    patienceMs,
  });
}

describe("streams whose servers are not all up", () => {
  it("are made as soon as they are", async () => {
    const reports = await admin(2, 20_000).init({});
    expect(reports.length).toBeGreaterThan(3);
    expect(reports.every(({ did }) => did === "created")).toBe(true);
  });

  it("are refused with the reason once patience has run out", async () => {
    await expect(admin(Infinity, 300).init({})).rejects.toMatchObject({
      code: "ORCH_BUS_UNREACHABLE",
      message: expect.stringMatching(/too few servers of the cluster are up for its replicas.*peer offline/),
    });
  });

  it("are refused at once for any other reason", async () => {
    await expect(admin(1, 20_000, "insufficient storage").init({})).rejects.toThrow(/insufficient storage/);
  });
});
