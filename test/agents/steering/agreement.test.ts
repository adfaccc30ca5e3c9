// What steering lets through, the kernel takes; what the kernel would refuse, steering refuses first.

import { expect, it } from "vitest";
import { allowedActions } from "../../../src/agents/steering/allowed-actions.ts";
import { readReply } from "../../../src/agents/steering/read-reply.ts";
import { next, Orchestra, type AgentContext, type TopologyInput } from "../../../src/index.ts";
import { isCommand } from "../../../src/runtime/agent.ts";
import { pick, streamFor } from "../../../src/testing/simulation/chance.ts";
import { drawTopology } from "../../../src/testing/simulation/random-topology.ts";

const SEEDS = 60;
const REFUSALS = ["ORCH_ROUTE_FORBIDDEN", "ORCH_ROUTE_MIXED", "ORCH_EMPTY_PARALLEL", "ORCH_LOOP_BOUND"];

/** Everything a model could ask for that names agents, whether it may or not. */
function everyReply(names: readonly string[]): string[] {
  const said = (next_action: string, action_input: unknown): string => JSON.stringify({ next_action, action_input });
  const pairs = names.flatMap((a) => names.filter((b) => b !== a).map((b) => [a, b]));
  return [
    ...names.map((agent) => said("invoke_agent", { agent, input: "x" })),
    ...pairs.map((both) =>
      said(
        "parallel_invoke",
        both.map((agent) => ({ agent, input: "x" })),
      ),
    ),
  ];
}

it("every reply that is let through is a command the kernel takes, and no other is", async () => {
  let commands = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const topology = drawTopology(streamFor(seed, "agreement"));
    const names = topology.nodes.map(({ name }) => name);
    const replies = everyReply([...names, "End", "Nobody"]);
    const agent = (_input: unknown, ctx: AgentContext): unknown => {
      const allowed = allowedActions(ctx, []);
      const read = replies.map((reply) => readReply(reply, allowed, "auto"));
      const possible = read.flatMap((one) => (one.type === "command" ? [one.command] : []));
      if (possible.length === 0 || ctx.state.get("acted") === true) return { route: "yes" };
      ctx.state.set("acted", true);
      commands++;
      return pick(streamFor(seed, ctx.stepId), possible);
    };
    const result = await Orchestra.run({
      task: "t",
      topology: topology as TopologyInput,
      agents: Object.fromEntries(names.map((name) => [name, agent])),
      maxSteps: 30,
      communicationConfig: { channel: "none" },
      executionConfig: { stepTimeoutMs: false, convergenceTimeoutMs: false },
    });
    const failures = [result.error, ...result.branchResults.map(({ error }) => error)];
    // A loop that is spent ends plain values too, which no steering refuses.
    const refused = failures.filter(
      (error) => error !== null && REFUSALS.includes(error.code) && !error.message.endsWith("nothing else held"),
    );
    expect([seed, refused]).toEqual([seed, []]);
  }
  expect(commands).toBeGreaterThan(SEEDS);
});

it("what is refused, the kernel would refuse too", async () => {
  const topology = {
    nodes: ["A", "B", "C", "D"],
    edges: ["A <-> B", "A -> C", "A <|> D"],
    entryPoint: "A",
  };
  for (const reply of everyReply(["A", "B", "C", "D", "Nobody"])) {
    let refused: boolean | undefined;
    const { error } = await Orchestra.run({
      task: "t",
      topology,
      agents: {
        A: (_input, ctx) => {
          if (refused !== undefined) return next.final("again");
          const read = readReply(reply, allowedActions(ctx, []), "auto");
          refused = read.type === "refused";
          if (read.type === "command") return read.command;
          const { next_action, action_input } = JSON.parse(reply) as { next_action: string; action_input: any };
          const raw = next_action === "invoke_agent" ? next.invoke(action_input.agent) : next.parallel(action_input);
          expect(isCommand(raw)).toBe(true);
          return raw;
        },
        B: () => "b",
        C: () => "c",
        D: () => next.final("d"),
      },
    });
    expect([reply, refused]).toEqual([reply, error !== null]);
  }
});
