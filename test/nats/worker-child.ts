// A worker in a process of its own, on the bus of one tenant. `hang` never ends what it claims; `die` kills itself with it.
import { natsBus } from "../../src/nats/nats-bus.ts";

const [, , server = "", tenant = "", mode = ""] = process.argv;
const bus = natsBus({
  servers: server,
  tenant,
  connectTimeoutMs: 60_000,
  ackWaitMs: 1_000,
  maxDelivery: 3,
  localFirst: false,
});
await bus.open();
bus.steps.serve({
  agents: ["a"],
  slots: 1,
  run(claim) {
    process.stdout.write(`claimed ${claim.step.stepId} ${claim.delivery}\n`);
    if (mode === "die") process.kill(process.pid, "SIGKILL");
    return new Promise(() => undefined);
  },
});
process.stdout.write("serving\n");
