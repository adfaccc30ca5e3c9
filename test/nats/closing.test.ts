// Closing while the server stands still. Time is told, so that what would wait longer waits for ever.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { OrchestraHost, OrchestraInstance } from "orchestra";
import { natsBus, type NatsBus } from "orchestra/nats";
import { SimClock } from "../../src/testing/sim-clock.ts";
import { startNats, until, type NatsServer } from "../support/nats.ts";
import { freshTenant } from "./bus-world.ts";

const TOPOLOGY = { nodes: ["A", "B"], edges: ["A -> B"] };
/** What closes in 5 s may find out a little later, on a busy machine, that it has begun to wait. */
const CLOSED_MS_MAX = 30_000;

let server: NatsServer;
let tenant: string;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  tenant = freshTenant();
});
afterEach(() => server.thaw());

function busOf(more: Partial<Parameters<typeof natsBus>[0]> = {}): NatsBus {
  return natsBus({ servers: server.url, tenant, init: { leaseMs: 2_000 }, renewMs: 500, ...more });
}

/** Resolves with `closed`, while time passes on the clock. */
async function closedInTime(clock: SimClock, closed: Promise<unknown>): Promise<void> {
  let done = false;
  void closed.then(() => (done = true));
  const beganMs = clock.nowMs();
  await until("it is closed", async () => {
    if (clock.nowMs() - beganMs < CLOSED_MS_MAX) await clock.advance(100);
    return done;
  });
}

describe("with a server that stands still", () => {
  it("a host, an instance and their buses close in 5 s, and what was acknowledged is there", async () => {
    const clock = new SimClock();
    const [hostBus, clientBus] = [busOf({ clock, localFirst: false }), busOf({ clock })];
    let stepsOfB = 0;
    const host = new OrchestraHost({
      bus: hostBus,
      clock,
      agents: {
        A: () => "a",
        B: async () => {
          stepsOfB++;
          return new Promise(() => undefined);
        },
      },
    });
    await host.start();
    const client = new OrchestraInstance({ bus: clientBus, clock, topology: TOPOLOGY });
    const run = client.execute({ task: "", sessionId: "s" }).catch((error: unknown) => error);
    await untilTicking(clock, "B runs", () => stepsOfB > 0);
    const acknowledged = await hostBus.sessions.last("s");

    await server.freeze();
    await closedInTime(clock, Promise.all([host.close(), client.close()]));
    await closedInTime(clock, Promise.all([hostBus.close(), clientBus.close()]));
    expect([hostBus.status?.now(), clientBus.status?.now()]).toEqual(["closed", "closed"]);
    server.thaw();
    await run;

    const later = busOf();
    expect((await later.sessions.last("s"))!.n).toBeGreaterThanOrEqual(acknowledged!.n);
    const next = new OrchestraHost({ bus: later, agents: { A: () => "again", B: (x: string) => `${x}b` } });
    await next.start();
    await until("it ends", async () => (await later.sessions.getSession("s"))?.status === "completed");
    const { finalResponse } = await resultOf(later, "s");
    expect(finalResponse).toBe("ab");
    await next.close();
    await later.close();
  });

  it("a bus that is still connecting closes in 5 s", async () => {
    const clock = new SimClock();
    await server.freeze();
    const bus = busOf({ clock });
    const opening = bus.open().catch((error: { code: string }) => error.code);
    await closedInTime(clock, bus.close());
    server.thaw();
    expect(await opening).toBe("ORCH_CLOSED");
  });
});

async function untilTicking(clock: SimClock, what: string, holds: () => boolean): Promise<void> {
  await until(what, async () => {
    await clock.advance(10);
    return holds();
  });
}

async function resultOf(bus: NatsBus, sessionId: string) {
  await using instance = new OrchestraInstance({ bus, topology: TOPOLOGY });
  return await instance.getResult(sessionId);
}
