// What a process must bring to go on with a session that another began. Each test opens with the root cause.

import { memoryStorage, next, OrchestraInstance, StateManager } from "orchestra";
import type { InstanceOptions, Logger, SessionStore } from "orchestra";
import { describe, expect, it } from "vitest";

const asks = (input: unknown, ctx: { question?: unknown }): unknown =>
  ctx.question === undefined ? next.ask("go on?") : input;

const routed = {
  nodes: ["A", "B", "C"],
  edges: [
    { from: "A", to: "B", metadata: { condition: "isOk" } },
    { from: "A", to: "C", else: true },
  ],
};
const right = { topology: routed, agents: { A: asks, B: () => "right", C: () => "WRONG" } };
const isOk = (): boolean => true;

const opened = (storage: SessionStore, options: Partial<InstanceOptions>): OrchestraInstance =>
  new OrchestraInstance({ ...options, stateManager: new StateManager({ storage }) } as InstanceOptions);

async function committed(storage: SessionStore, sessionId: string): Promise<number | undefined> {
  return (await storage.getSession(sessionId))?.n;
}

async function begun(storage: SessionStore, options: Partial<InstanceOptions>): Promise<void> {
  await using first = opened(storage, options);
  expect((await first.execute("t", { sessionId: "s" })).status).toBe("awaiting_user");
}

describe("a condition that was a function", () => {
  // A name without a function was read as a label, so the else edge was taken without a word.
  it("is missed by name when the session is resumed without it, and nothing is lost", async () => {
    const storage = memoryStorage();
    await begun(storage, { ...right, conditions: { isOk } });
    const before = await committed(storage, "s");
    {
      await using second = opened(storage, right);
      await expect(second.resumeSession("s", { userResponse: "yes" })).rejects.toMatchObject({
        code: "ORCH_CONDITION_UNKNOWN",
        message: expect.stringContaining('"isOk"'),
        details: { sessionId: "s", conditions: ["isOk"] },
      });
      expect(await committed(storage, "s")).toBe(before);
    }
    await using third = opened(storage, { ...right, conditions: { isOk } });
    expect((await third.resumeSession("s", { userResponse: "yes" })).finalResponse).toBe("right");
  });

  // The answer was judged with the functions of another run of the same topology.
  it("is missed when an answer would be followed with the functions of another run", async () => {
    const storage = memoryStorage();
    await begun(storage, { ...right, conditions: { isOk } });
    await using second = opened(storage, right);
    expect((await second.execute("t", { sessionId: "other" })).status).toBe("awaiting_user");
    const before = await committed(storage, "s");
    const [question] = await second.communication.pending({ sessionId: "s" });
    await expect(second.communication.submitResponse(question!.questionId, "yes")).rejects.toMatchObject({
      code: "ORCH_CONDITION_UNKNOWN",
    });
    expect(await committed(storage, "s")).toBe(before);
  });

  // A follow-up is a run of the same topology, so its edges mean what they meant.
  it("is missed by a follow-up", async () => {
    const storage = memoryStorage();
    const agents = { ...right.agents, A: (input: unknown) => input };
    {
      await using first = opened(storage, { topology: routed, agents, conditions: { isOk } });
      expect((await first.execute("t", { sessionId: "s" })).finalResponse).toBe("right");
    }
    const before = await committed(storage, "s");
    await using second = opened(storage, { topology: routed, agents });
    await expect(second.followUp("s", "and now?")).rejects.toMatchObject({ code: "ORCH_CONDITION_UNKNOWN" });
    expect(await committed(storage, "s")).toBe(before);
  });

  // Whether a name is a function was not recorded; a label needs none.
  it("is told from a label, which needs no function", async () => {
    const storage = memoryStorage();
    await begun(storage, right);
    await using second = opened(storage, right);
    expect((await second.resumeSession("s", { userResponse: "isOk" })).finalResponse).toBe("right");
  });
});

describe("a session whose agents are not all given", () => {
  const chain = {
    nodes: ["A", { name: "T", kind: "tool" }, "B"],
    edges: ["A -> T", "T -> B"],
  } as InstanceOptions["topology"] & object;
  const agents = { A: asks, T: (x: unknown) => x, B: (x: unknown) => `B ${String(x)}` };

  // Agents were looked up step by step, after the resumption was committed.
  it("is not resumed: the error names all that is missing, and the whole set resumes it later", async () => {
    const storage = memoryStorage();
    await begun(storage, { topology: chain, agents });
    const before = await committed(storage, "s");
    {
      await using second = opened(storage, { agents: { A: asks } });
      await expect(second.resumeSession("s", { userResponse: "1" })).rejects.toMatchObject({
        code: "ORCH_AGENT_UNKNOWN",
        message: expect.stringMatching(/"T".*"B"/),
        details: { sessionId: "s", nodes: ["T", "B"] },
      });
      expect(await committed(storage, "s")).toBe(before);
    }
    await using third = opened(storage, { agents });
    expect((await third.resumeSession("s", { userResponse: "1" })).finalResponse).toBe("B 1");
  });

  // One lack hid the other.
  it("hears of missing agents and conditions in one error", async () => {
    const storage = memoryStorage();
    await begun(storage, { ...right, conditions: { isOk } });
    await using second = opened(storage, { agents: { A: asks, B: () => 1 } });
    await expect(second.resumeSession("s", { userResponse: "1" })).rejects.toMatchObject({
      code: "ORCH_AGENT_UNKNOWN",
      message: expect.stringMatching(/"C".*"isOk"/),
    });
  });
});

// Recovery took a matching topology for a matching program.
it("recovery leaves a session whose functions are missing for resumeSession, with a warning", async () => {
  const storage = memoryStorage();
  let reached = (): void => undefined;
  const there = new Promise<void>((resolve) => (reached = resolve));
  const first = opened(storage, {
    topology: routed,
    agents: { ...right.agents, A: () => (reached(), new Promise(() => undefined)) },
    conditions: { isOk },
  });
  void first.execute("t", { sessionId: "s" }).catch(() => undefined);
  await there;
  await first.close();
  const agents = { ...right.agents, A: (x: unknown) => x };
  const warnings: string[] = [];
  const logger: Logger = {
    child: () => logger,
    debug: () => undefined,
    info: () => undefined,
    error: () => undefined,
    warn: (...said: unknown[]) => void warnings.push(JSON.stringify(said)),
  };
  {
    await using second = opened(storage, { topology: routed, agents, logger });
    expect((await second.getSession("s"))?.status).toBe("paused");
    expect(warnings.join()).toContain("isOk");
  }
  await using third = opened(storage, { topology: routed, agents, conditions: { isOk } });
  expect((await third.resumeSession("s")).finalResponse).toBe("right");
});

// A nested run was resumed with the agents of the instance, not those its step gave it.
it("a nested session is not resumed by its own id: the error names the session to resume", async () => {
  const storage = memoryStorage();
  const options: Partial<InstanceOptions> = {
    topology: { nodes: ["A"], edges: [] },
    agents: {
      A: async (x: unknown, ctx: any) =>
        (await ctx.run({ task: x, topology: { nodes: ["M"], edges: [] }, agents: { M: asks } })).finalResponse,
    },
  };
  await begun(storage, options);
  const nested = (await storage.listSessions({})).find((entry) => entry.parentSessionId === "s")!;
  const before = await committed(storage, nested.sessionId);
  await using second = opened(storage, options);
  await expect(second.resumeSession(nested.sessionId, { userResponse: "1" })).rejects.toMatchObject({
    code: "ORCH_SESSION_STATE",
    message: expect.stringContaining('"s"'),
    details: { sessionId: nested.sessionId, parentSessionId: "s" },
  });
  expect(await committed(storage, nested.sessionId)).toBe(before);
  expect((await second.resumeSession("s", { userResponse: "1" })).finalResponse).toBe("1");
});
