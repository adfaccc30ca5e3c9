import { describe, expect, it } from "vitest";
import { createMemory } from "orchestra/memory";
import type { AgentContext } from "../../src/runtime/agent.ts";
import type { TopologyData } from "../../src/topology/types.ts";
import { request, run, topology, world } from "./world.ts";

/** A -> lookup (a tool) -> note (a system function) -> B */
const KINDS: TopologyData = {
  v: 1,
  nodes: [
    { name: "A", kind: "agent" },
    { name: "lookup", kind: "tool" },
    { name: "note", kind: "system", uses: "audit.note" },
    { name: "B", kind: "agent" },
  ],
  edges: ["A>lookup", "lookup>note", "note>B"].map((pair) => {
    const [from = "", to = ""] = pair.split(">");
    return { from, to, pattern: "flow", type: "invoke" };
  }),
};

describe("step handlers", () => {
  it("run the nodes that are no agents, by kind and registered name", async () => {
    const asked: string[] = [];
    const { engine } = world({
      stepHandlers: (kind, name) => {
        asked.push(`${kind} ${name}`);
        if (kind === "tool") return { name, run: (x: string) => `${x}:found` };
        if (kind === "system") return { name, run: (x: string) => `${x}:noted` };
        return undefined;
      },
    });
    const outcome = await run(engine, "q", KINDS, { A: (x) => x, B: (x) => `<${x}>` });
    expect(outcome.finalResponse).toBe("<q:found:noted>");
    expect([...new Set(asked)].sort()).toEqual(["agent A", "agent B", "system audit.note", "tool lookup"]);
    await engine.close();
  });

  it("leave to the agents what they do not know", async () => {
    const { engine } = world({ stepHandlers: () => undefined });
    const agents = {
      A: (x: unknown) => x,
      B: (x: unknown) => x,
      lookup: (x: string) => `${x}1`,
      "audit.note": (x: string) => `${x}2`,
    };
    expect((await run(engine, "q", KINDS, agents)).finalResponse).toBe("q12");
    await engine.close();
  });

  it("fail as steps do, so that retries and error edges apply", async () => {
    let calls = 0;
    const { engine } = world({
      stepHandlers: (kind, name) =>
        kind === "tool"
          ? {
              name,
              run: () => {
                calls++;
                throw Object.assign(new Error("down"), { status: 503 });
              },
            }
          : undefined,
    });
    const outcome = await run(engine, "q", KINDS, { A: (x) => x, B: (x) => x, "audit.note": (x) => x });
    expect(outcome).toMatchObject({ status: "failed", error: { node: "lookup" } });
    expect(calls).toBe(3);
    await engine.close();
  });
});

describe("memory", () => {
  it("is what agents see as ctx.memory, each step its own view", async () => {
    await using memory = createMemory();
    const { engine } = world({ memory });
    const A = async (text: string, ctx: AgentContext): Promise<unknown> => {
      const found = await ctx.memory?.search(text);
      const { scope, provenance } = (await ctx.memory?.add({ value: text })) ?? {};
      return { found: found?.length, scope, agent: provenance?.agent };
    };
    for (const sessionId of ["one", "two"])
      expect((await run(engine, "otters", topology("A"), { A }, { sessionId })).finalResponse).toEqual({
        found: 0,
        scope: { sessionId },
        agent: "A",
      });
    await engine.close();
  });

  it("is absent where none is configured", async () => {
    const { engine } = world();
    const handle = await engine.start(request(1, topology("A"), { A: (_x, ctx) => ctx.memory === undefined }));
    expect((await handle.outcome).finalResponse).toBe(true);
    await engine.close();
  });
});
