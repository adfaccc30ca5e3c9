import { Orchestra, type AgentContext } from "orchestra";

let calls = 0;

const result = await Orchestra.run({
  task: "invoice 12",
  topology: {
    nodes: ["Fetch", "Parse", "ParseErrorHandler", "Archive"],
    edges: ["Fetch -> Parse", "Parse -> Archive", "Parse -> ParseErrorHandler"],
  },
  agents: {
    Fetch: (name: string) => {
      if (++calls < 3) throw Object.assign(new Error("connection reset"), { code: "ECONNRESET" });
      return { name, body: "not a number" };
    },
    Parse: ({ body }: { body: string }) => {
      if (Number.isNaN(Number(body))) throw new Error(`cannot parse "${body}"`);
      return Number(body);
    },
    ParseErrorHandler: (input: { name: string }, ctx: AgentContext) => `${input.name} set aside: ${ctx.error?.message}`,
    Archive: (amount: number) => `archived: ${amount}`,
  },
  executionConfig: { retry: { transient: { maxAttempts: 3, initialDelayMs: 5 } } },
});

console.log(result.orThrow().finalResponse);
console.log("attempts to fetch:", calls);
