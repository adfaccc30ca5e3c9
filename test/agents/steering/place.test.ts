import { describe, expect, it } from "vitest";
import { allowedActions } from "../../../src/agents/steering/allowed-actions.ts";
import { next, Orchestra, type AgentContext, type AgentFunction, type TopologyInput } from "../../../src/index.ts";

/** What each step saw of its place, in order: `A: call, may finish`. */
async function placesOf(
  topology: TopologyInput,
  agents: Readonly<Record<string, AgentFunction>>,
): Promise<readonly string[]> {
  const seen: string[] = [];
  const note = (ctx: AgentContext): void => {
    const { plainValue, mayFinish, mayAskUser, calls, exits } = allowedActions(ctx, []);
    const may = [
      ...(mayFinish ? ["may finish"] : []),
      ...(mayAskUser ? ["may ask"] : []),
      ...calls.map(({ agent, how }) => `${how} ${agent}`),
      ...exits.map((exit) => `exit ${exit}`),
    ];
    seen.push(`${ctx.node}: ${plainValue}; ${may.join(", ")}`);
  };
  const noting = Object.fromEntries(
    Object.entries(agents).map(([name, run]) => [
      name,
      (input: unknown, ctx: AgentContext) => {
        note(ctx);
        return run(input, ctx) as unknown;
      },
    ]),
  );
  const result = await Orchestra.run({ task: "t", topology, agents: noting, maxSteps: 20 });
  expect(result.error).toBe(null);
  return seen;
}

const echo: AgentFunction = (input) => input as unknown;

describe("an agent is told its place", () => {
  it("in a pipeline: who comes next, and the end to the last one only", async () => {
    expect(await placesOf({ nodes: ["A", "B"], edges: ["A -> B"] }, { A: echo, B: echo })).toEqual([
      "A: flow; flow B",
      "B: deliver; may finish",
    ]);
  });

  it("as a hub, before its calls and after, and as one who is called and has people of its own", async () => {
    const seen = await placesOf(
      { nodes: ["Hub", "Mid", "Low"], edges: ["Hub <-> Mid", "Mid <-> Low"] },
      { Hub: echo, Mid: echo, Low: echo },
    );
    expect(seen).toEqual([
      "Hub: call; may finish, call Mid",
      "Mid: call; may finish, call Low, call Hub",
      "Low: reply; may finish, call Mid",
      "Mid: reply; may finish, call Low, call Hub",
      "Hub: deliver; may finish, call Mid",
    ]);
  });

  it("in a conversation, which either side may end", async () => {
    const seen = await placesOf(
      { nodes: ["A", "B"], edges: ["A <~> B"] },
      { A: echo, B: (_input, ctx) => (ctx.state.get("spoke") ? next.final("done") : ctx.state.set("spoke", true)) },
    );
    expect(seen).toEqual([
      "A: conversation; may finish, conversation B",
      "B: turn; may finish, conversation A",
      "A: turn; may finish, conversation B",
      "B: turn; may finish, conversation A",
    ]);
  });

  it("beside a person, and at an exit", async () => {
    const seen = await placesOf(
      { nodes: ["User", "A", "B"], edges: ["User -> A", "A -> B", "A -> User", "B -> User"] },
      { A: (input) => next.invoke("B", input), B: echo },
    );
    expect(seen).toEqual([
      "A: flow; may finish, may ask, flow B, exit User",
      "B: deliver; may finish, may ask, exit User",
    ]);
  });

  it("without edges whose visits are spent", async () => {
    const seen = await placesOf(
      {
        nodes: ["A", "B"],
        edges: ["A -> B", { from: "B", to: "A", maxVisits: 1 }],
        exitPoints: ["B"],
        entryPoint: "A",
      },
      { A: echo, B: (input, ctx) => (ctx.successors.length > 0 ? next.invoke("A", input) : input) },
    );
    expect(seen).toEqual(["A: flow; flow B", "B: flow; may finish, flow A", "A: flow; flow B", "B: flow; may finish"]);
  });

  it("as a callee that must answer: nobody but those it may call", async () => {
    const seen = await placesOf(
      { nodes: ["A", "B", "C", "D"], edges: ["A <=> B", "B <-> C", "B -> D"] },
      { A: echo, B: echo, C: echo, D: echo },
    );
    expect(seen[1]).toBe("B: call; may finish, call C, call A");
  });

  it("without agents it is not to know of", () => {
    const ctx = {
      successors: [
        { agent: "Legal", how: "call" as const },
        { agent: "Tech", how: "call" as const },
      ],
      place: { plainValue: "call" as const, mayFinish: true, mayAsk: false },
    };
    const allowed = allowedActions(ctx, [], { only: (agent) => agent === "Tech", describe: () => "knows machines" });
    expect(allowed.calls).toEqual([{ agent: "Tech", how: "call", description: "knows machines" }]);
  });
});
