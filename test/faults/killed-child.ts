// A process of its own: runs a session, or takes up one that another process left, until it ends or is killed at a point.
import { writeSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { createLocalBus } from "../../src/bus/local-bus.ts";
import { LevelStorage } from "../../src/state/level-store.ts";
import { code, request, topology, world } from "../runtime/world.ts";
import { arm } from "./armed.ts";

const [folder = "", durability = "", onces = "", point = "", k = ""] = process.argv.slice(2);
const armed = arm(point, Number(k));
const store = armed.store(
  new LevelStorage(folder, { durability: durability === "disk" ? "disk" : "process", disk: armed.disk }),
);
const { engine } = world({ store, bus: armed.bus(createLocalBus({ clock: systemClock() })) });

const agents = code({
  async A(task, ctx) {
    for (let i = 0; i < Number(onces); i++) {
      const value = await ctx.once(`k${i}`, () => `${process.pid}.${"x".repeat(Number(onces) > 10 ? 7_000 : 1)}`);
      // Acknowledged: from here on it must never be lost, nor be another.
      writeSync(1, `${i} ${value.length} ${value.slice(0, 12)}\n`);
    }
    return `${task}a`;
  },
  B: (x) => `${x}b`,
});
const [recovered] = await engine.recover({ code: () => agents });
const more = {
  sessionId: "s",
  idempotencyKey: "once",
  ...(point.startsWith("checkpoint") && { autoCheckpoint: { everySteps: 1 } }),
};
const handle = recovered?.handle ?? (await engine.start(request("t", topology("A -> B"), agents, more)));
const { finalResponse } = await handle.outcome;
writeSync(1, `ended ${String(finalResponse)}\n`);
await engine.close();
await store.close();
writeSync(1, `passes ${JSON.stringify(armed.passes)}\n`);
