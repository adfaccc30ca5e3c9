// A host, or a process with agents that runs something, on a real NATS: started by tests, which kill it, stop it or let it
// drain. Each line on standard output is a JSON object.

import { OrchestraHost, OrchestraInstance } from "../../src/index.ts";
import { natsBus } from "../../src/nats/index.ts";

interface ChildOptions {
  readonly servers: string;
  readonly name: string;
  /** How long each agent works, in milliseconds. */
  readonly workMs: number;
  readonly agents: readonly string[];
  readonly slots?: number;
  readonly adopt?: boolean;
  readonly renewMs?: number;
  readonly ackWaitMs?: number;
  readonly maxDelivery?: number;
  readonly tenant: string;
  /** Agents that end the process. */
  readonly deadly?: readonly string[];
  /** Runs this instead of serving as a host. */
  readonly run?: { readonly sessionId: string; readonly nodes: readonly string[]; readonly edges: readonly string[] };
}

const options = JSON.parse(process.argv[2] ?? "{}") as ChildOptions;
const { servers, name, workMs, slots, adopt, run, deadly = [] } = options;

const say = (line: object): void => void process.stdout.write(`${JSON.stringify({ name, ...line })}\n`);

const agents = Object.fromEntries(
  options.agents.map((agent) => [
    agent,
    async (input: unknown, ctx: { sessionId: string }) => {
      say({ ran: agent, sessionId: ctx.sessionId });
      if (deadly.includes(agent)) process.kill(process.pid, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, workMs));
      return `${String(input)}${agent.toLowerCase()}`;
    },
  ]),
);

const bus = natsBus({
  servers,
  connectTimeoutMs: 60_000,
  tenant: options.tenant,
  ...(options.renewMs !== undefined && { renewMs: options.renewMs }),
  ...(options.ackWaitMs !== undefined && { ackWaitMs: options.ackWaitMs }),
  ...(options.maxDelivery !== undefined && { maxDelivery: options.maxDelivery }),
});

if (run === undefined) {
  const host = new OrchestraHost({
    bus,
    agents,
    ...(slots !== undefined && { slots }),
    ...(adopt !== undefined && { adopt }),
  });
  await host.start();
  say({ ready: true });
  process.once("SIGTERM", () => {
    void (async () => {
      await host.drain({ timeoutMs: 60_000 });
      await host.close();
      await bus.close();
      say({ drained: true });
    })();
  });
} else {
  const instance = new OrchestraInstance({ bus, agents, topology: { nodes: [...run.nodes], edges: [...run.edges] } });
  const result = await instance.execute({ task: "", sessionId: run.sessionId });
  say({ result: result.finalResponse, status: result.status });
  await instance.close();
  await bus.close();
}
