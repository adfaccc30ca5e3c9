// A failure that is put to a person: try again, go on without, or let it stand.

import {
  callbackChannel,
  CommunicationManager,
  Edge,
  memoryStorage,
  Node,
  Orchestra,
  OrchestraInstance,
  StateManager,
  Topology,
  type AgentContext,
  type AgentLike,
  type EdgeOptions,
  type RecoveryPrompt,
} from "orchestra";
import { describe, expect, it } from "vitest";

const code = (expected: string) => expect.objectContaining({ code: expected });
const got = (input: unknown): string => `got ${JSON.stringify(input)}`;

/** `A` leads to `B`; what fails in it is put to `User`. */
const team = (A: AgentLike, recovery: EdgeOptions = {}) => ({
  topology: { nodes: ["A", "B", "User"], edges: ["A -> B", Edge("A", "User", { recovery: true, ...recovery })] },
  agents: { A, B: got },
});

/** Fails `times` times. */
function flaky(times: number): { agent: AgentLike; attempts: number[]; paid: number } {
  const seen = {
    attempts: [] as number[],
    paid: 0,
    agent: async (input: unknown, ctx: AgentContext) => {
      seen.attempts.push(ctx.attempt);
      await ctx.once("pay", () => ++seen.paid);
      if (seen.attempts.length <= times) throw new Error(`broken ${seen.attempts.length}`);
      return `${String(input)} done`;
    },
  };
  return seen;
}

const saying = (answers: readonly unknown[], asked: unknown[] = []) => ({
  channel: callbackChannel(({ prompt, node, kind }) => {
    asked.push({ prompt, node, kind });
    return answers[asked.length - 1];
  }),
});

describe("a failure that is put to a person", () => {
  it("is tried again as the same step, until it is done or the person gives up", async () => {
    const work = flaky(2);
    const asked: { prompt: RecoveryPrompt }[] = [];
    const result = await Orchestra.run({
      task: "x",
      ...team(work.agent),
      communicationConfig: saying(["retry", { action: "retry" }], asked),
    });
    expect(result.orThrow().finalResponse).toBe('got "x done"');
    expect(asked).toEqual([
      {
        node: "User",
        kind: "recovery",
        prompt: { kind: "recovery", node: "A", error: { code: "ORCH_AGENT_FAILED", message: expect.any(String) } },
      },
      expect.objectContaining({ node: "User" }),
    ]);
    expect(asked.map(({ prompt }) => prompt.error.message)).toEqual([
      expect.stringContaining("broken 1"),
      expect.stringContaining("broken 2"),
    ]);
    expect(work).toMatchObject({ attempts: [1, 2, 3], paid: 1 });
    expect(result.totalSteps).toBe(2);
  });

  it.each([
    ["skip", "got null"],
    [{ action: "skip", value: { draft: 1 } }, 'got {"draft":1}'],
  ])("is passed over: %j", async (answer, expected) => {
    const result = await Orchestra.run({
      task: "x",
      ...team(flaky(9).agent),
      communicationConfig: saying([answer]),
    });
    expect(result.orThrow().finalResponse).toBe(expected);
  });

  it("stands, and goes on as if nobody had been asked: the run fails, or a handler takes it", async () => {
    const communicationConfig = saying(["abort"]);
    const plain = team(flaky(9).agent);
    expect(await Orchestra.run({ task: "x", ...plain, communicationConfig })).toMatchObject({
      status: "failed",
      error: { code: "ORCH_AGENT_FAILED", node: "A", message: expect.stringContaining("broken 1") },
    });
    const handled = await Orchestra.run({
      task: "x",
      topology: {
        nodes: [...plain.topology.nodes, "Late", "Never"],
        edges: [
          ...plain.topology.edges,
          Edge("A", "Late", { on: "error", condition: "output.code == 'ORCH_AGENT_FAILED'" }),
          Edge("A", "Never", { on: "error", else: true }),
        ],
      },
      agents: { ...plain.agents, Late: (_input: unknown, ctx: AgentContext) => ctx.error?.message, Never: got },
      communicationConfig: saying(["abort"]),
    });
    expect(handled.orThrow().finalResponse).toContain("broken 2");
  });

  it("is judged by the conditions of the edges it goes on over", async () => {
    const run = (answer: unknown) =>
      Orchestra.run({
        task: "x",
        topology: {
          nodes: ["A", "Small", "Large", Node("Operator", { kind: "user", role: "error-recovery" })],
          edges: [
            Edge("A", "Small", { condition: "output < 10" }),
            Edge("A", "Large", { else: true }),
            "A -> Operator",
          ],
        },
        agents: { A: flaky(9).agent, Small: () => "small", Large: () => "large" },
        communicationConfig: saying([answer]),
      });
    expect((await run({ action: "skip", value: 3 })).finalResponse).toBe("small");
    expect((await run({ action: "skip", value: 30 })).finalResponse).toBe("large");
  });

  it("only comes to the person when the condition of the edge holds, and as often as its bound allows", async () => {
    const asked: unknown[] = [];
    const other = await Orchestra.run({
      task: "x",
      ...team(flaky(9).agent, { condition: "output.code == 'ORCH_TIMEOUT'" }),
      communicationConfig: saying(["retry"], asked),
    });
    expect(other.status).toBe("failed");
    expect(asked).toEqual([]);
    const bounded = await Orchestra.run({
      task: "x",
      ...team(flaky(9).agent, { maxVisits: 2 }),
      communicationConfig: saying(["retry", "retry", "retry"], asked),
    });
    expect(bounded.error?.message).toContain("broken 3");
    expect(asked).toHaveLength(2);
  });

  it("holds up its own join only, which then gets what the person made of it", async () => {
    const result = await Orchestra.run({
      task: "x",
      topology: {
        nodes: ["S", "A", "C", "J", "User"],
        edges: ["S -> A", "S -> C", "A -> J", "C -> J", Edge("A", "User", { recovery: true })],
      },
      agents: { S: (x: unknown) => x, A: flaky(1).agent, C: () => "c", J: got },
      communicationConfig: saying(["retry"]),
    });
    expect(result.orThrow().finalResponse).toBe('got [{"from":"A","value":"x done"},{"from":"C","value":"c"}]');
  });

  it("in a callee is answered to its caller; a failed call is called again", async () => {
    const work = flaky(1);
    const callee = await Orchestra.run({
      task: "x",
      topology: { nodes: ["Hub", "A", "User"], edges: ["Hub <-> A", Edge("A", "User", { recovery: true })] },
      agents: { Hub: (input: unknown, ctx: AgentContext) => (ctx.replies ? got(input) : "call"), A: work.agent },
      communicationConfig: saying(["retry"]),
    });
    expect(callee.orThrow().finalResponse).toBe('got [{"from":"A","value":"call done"}]');
    const again = flaky(1);
    const caller = await Orchestra.run({
      task: "x",
      topology: { nodes: ["Hub", "A", "User"], edges: ["Hub <-> A", Edge("Hub", "User", { recovery: true })] },
      agents: { Hub: (input: unknown, ctx: AgentContext) => (ctx.replies ? got(input) : "call"), A: again.agent },
      communicationConfig: saying(["retry"]),
    });
    expect(caller.orThrow().finalResponse).toBe('got [{"from":"A","value":"call done"}]');
    expect(again.attempts).toEqual([1, 1]);
  });

  it("in a nested run is asked once, and answered there", async () => {
    const work = flaky(1);
    const asked: unknown[] = [];
    const result = await Orchestra.run({
      task: "x",
      topology: { nodes: ["Outer", "Team"], edges: ["Outer -> Team"] },
      agents: { Outer: (x: unknown) => x, Team: team(work.agent) },
      communicationConfig: saying(["retry"], asked),
    });
    expect(result.orThrow().finalResponse).toBe('got "x done"');
    expect(asked).toHaveLength(1);
  });

  it("waits for as long as it takes in its session, where another process answers it, once", async () => {
    const stateManager = new StateManager({ storage: memoryStorage() });
    const work = flaky(1);
    const first = new OrchestraInstance({ ...team(work.agent), stateManager });
    expect(await first.execute("x", { sessionId: "s" })).toMatchObject({ status: "awaiting_user" });
    await first.close();
    const communicationManager = new CommunicationManager();
    await using second = new OrchestraInstance({ ...team(work.agent), stateManager, communicationManager });
    const [question] = await communicationManager.pending({ sessionId: "s" });
    expect(question).toMatchObject({ kind: "recovery", node: "User", prompt: { node: "A" } });
    const answers = await Promise.allSettled([
      communicationManager.submitResponse(question!.questionId, "retry"),
      communicationManager.submitResponse(question!.questionId, "abort"),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(answers.find(({ status }) => status === "rejected")).toMatchObject({
      reason: { code: "ORCH_QUESTION_UNKNOWN" },
    });
    expect((await second.resumeSession("s")).status).toBe(answers[0].status === "fulfilled" ? "completed" : "failed");
    expect(work.paid).toBe(1);
  });

  it("is passed by while error routing is off", async () => {
    const result = await Orchestra.run({
      task: "x",
      ...team(flaky(9).agent),
      communicationConfig: saying(["retry"]),
      errorConfig: { enableErrorRouting: false },
    });
    expect(result.status).toBe("failed");
  });
});

describe("a topology with a recovery edge", () => {
  it("is read from plain data, keeps it, and shows it", () => {
    const { topology } = team(got);
    const read = Topology.from(topology as never);
    expect(Topology.fromJSON(read.toJSON()).hash).toBe(read.hash);
    expect(read.toMermaid()).toContain("recovery");
    expect(read.toDot()).toContain("recovery");
    expect(read.validate()).toEqual([]);
  });

  it("is checked with what a person may decide", () => {
    const report = Topology.from(team(got).topology as never).check();
    expect(report.ok).toBe(true);
    const stranded = Topology.from({
      nodes: ["A", "B", "User"],
      edges: [Edge("A", "B", { condition: "never" }), Edge("A", "User", { recovery: true })],
    }).check();
    expect(stranded.findings.map((finding) => finding.code)).toContain("nothing_delivered");
  });

  it("leads to a person, over a plain arrow", async () => {
    const run = (edges: unknown[]) =>
      Orchestra.run({ task: "x", topology: { nodes: ["A", "B"], edges } as never, agents: { A: got, B: got } });
    await expect(run(["A -> B", { from: "A", to: "B", recovery: true }])).rejects.toThrow(
      'a recovery edge leads to a user node, and "B" is none',
    );
    await expect(run([{ from: "A", to: "User", pattern: "<->", recovery: true }])).rejects.toEqual(
      code("ORCH_TOPOLOGY_INVALID"),
    );
  });
});
