// An orchestrator in a process of its own, on a NATS bus. Each line on standard output is a JSON object. In the iteration
// `hangsIn` its agent never ends.

import { createOrchestrator } from "../../src/orchestrator/index.ts";
import type { IterationTask } from "../../src/orchestrator/team.ts";
import { natsBus } from "../../src/nats/index.ts";

interface ChildOptions {
  readonly name: string;
  readonly bus: Parameters<typeof natsBus>[0];
  readonly cwd: string;
  readonly hangsIn?: number;
  /** Starts a run under this id. */
  readonly starts?: string;
}

const { name, bus: options, cwd, hangsIn, starts } = JSON.parse(process.argv[2] ?? "{}") as ChildOptions;
const say = (line: object): void => void process.stdout.write(`${JSON.stringify({ name, ...line })}\n`);

const bus = natsBus(options);
const orchestrator = createOrchestrator({
  bus,
  adopt: true,
  agents: {
    Builder: ({ iteration, feedback }: IterationTask, ctx) => {
      say({ ran: String(iteration), feedback: feedback.map(({ output }) => output) });
      ctx.usage({ inputTokens: 300 });
      return iteration === hangsIn
        ? new Promise((_resolve, reject) => ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason)))
        : `built ${iteration} by ${name}`;
    },
  },
  commands: { tests: [process.execPath, "-e", "console.log(`red by ${process.ppid}`); process.exit(1)"] },
});
await orchestrator.open();
say({ ready: true });
if (starts !== undefined) {
  const { result } = orchestrator.startRun({
    runId: starts,
    description: "build on many hosts",
    cwd,
    loopPolicy: { maxIterations: 9, tokenBudget: 1_000, successCriteria: { tests: true } },
  });
  result.catch(() => undefined);
}
