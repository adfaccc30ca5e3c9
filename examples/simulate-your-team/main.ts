import { next } from "orchestra";
import { simulate, type SimulateOptions } from "orchestra/testing";

const team: SimulateOptions = {
  topology: { nodes: ["Clerk", "Payer"], edges: ["Clerk -> Payer"] },
  agents: ({ outside, sleep }) => ({
    Clerk: (invoice: unknown, ctx) => (ctx.question === undefined ? next.ask(`pay ${String(invoice)}?`) : invoice),
    Payer: async (_invoice: unknown, ctx) => {
      const payments: string[] = outside.get("payments") ?? [];
      outside.set("payments", [...payments, ctx.idempotencyKey]);
      await sleep(100);
      return "paid";
    },
  }),
  tasks: ["invoice 7", "invoice 8"],
  answer: () => "yes",
  seeds: 50,
};

const naive = await simulate({
  ...team,
  check(result, { outside, sessionId }) {
    const mine = (outside.get("payments") ?? []).filter((key: string) => key.startsWith(`${sessionId}/`));
    return !result.success || mine.length === 1 ? "" : `${mine.length} payments`;
  },
});
console.log("paid more than once:", naive.findings.length > 0);
console.log(
  "a crash is enough:",
  naive.findings.some(({ faults }) => faults.join().includes("process-crash")),
);

const careful = await simulate({
  ...team,
  check(result, { outside, sessionId }) {
    const mine = (outside.get("payments") ?? []).filter((key: string) => key.startsWith(`${sessionId}/`));
    // The bank pays once for each key, however often it is asked.
    return !result.success || new Set(mine).size === 1 ? "" : `${new Set(mine).size} payments`;
  },
});
console.log("paid more than once:", careful.findings.length > 0);
