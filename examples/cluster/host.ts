// One host: serves every agent of the research desk, and takes over sessions whose host is gone.

import { appendFileSync } from "node:fs";

import { OrchestraHost } from "orchestra";
import { natsBus } from "orchestra/nats";

import { createTeam } from "../research-desk/team.ts";
import { researchDesk } from "../research-desk/topology.ts";
import { RENEW_MS } from "./lease.ts";

const [name = "host", servers = "nats://127.0.0.1:4222", paceMs = "0", witness] = process.argv.slice(2);

const bus = natsBus({ servers, renewMs: RENEW_MS });
const host = new OrchestraHost({
  bus,
  topologies: [researchDesk],
  labels: { name },
  agents: createTeam({
    paceMs: Number(paceMs),
    onStart(sessionId, node, stepId) {
      if (witness === undefined) return;
      appendFileSync(witness, `${JSON.stringify({ host: name, sessionId, node, stepId })}\n`);
    },
  }),
});
await host.start();
console.log(`${name} serves`);

process.once("SIGTERM", () => void stop());

/** What is in flight may finish; the sessions are handed to the other hosts at once. */
async function stop(): Promise<void> {
  await host.drain({ timeoutMs: 10_000 });
  await host.close();
  await bus.close();
}
