// Questions that nobody answers in time: hours pass here on a simulated clock.

import {
  CommunicationManager,
  memoryStorage,
  MetricsCollector,
  Node,
  Edge,
  Orchestra,
  OrchestraInstance,
  queueChannel,
  StateManager,
  type AgentContext,
  type Channel,
  type InstanceOptions,
  type NodeOptions,
} from "orchestra";
import { describe, expect, it } from "vitest";

import { SimClock } from "../../../src/testing/sim-clock.ts";

const HOUR = 3_600_000;
const code = (expected: string) => expect.objectContaining({ code: expected });
const got = (input: unknown): string => `got ${JSON.stringify(input)}`;

const team = (user: NodeOptions) => ({
  topology: { nodes: ["A", Node("User", { timeoutMs: HOUR, ...user }), "B"], edges: ["A -> User", "User -> B"] },
  agents: { A: () => "may I?", B: got },
});

function world(options: Partial<InstanceOptions>) {
  const clock = new SimClock();
  const stateManager = new StateManager({ storage: memoryStorage() });
  const communicationManager = new CommunicationManager();
  const open = (): OrchestraInstance =>
    new OrchestraInstance({
      ...(options.communicationConfig === undefined && { communicationManager }),
      ...options,
      stateManager,
      clock,
    });
  return { clock, communicationManager, open };
}

/** Lets the real world behind the clock, of which there is little, come to rest. */
async function rest(clock: SimClock): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(0);
  }
}

/** Hears a question and never answers; notes when it is withdrawn. */
function silent(): Channel & { readonly heard: string[] } {
  const heard: string[] = [];
  return {
    name: "silent",
    heard,
    ask: ({ node }, signal) => {
      heard.push(`${node} asks`);
      return new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => {
          heard.push(`${node} withdrawn`);
          reject(new Error("withdrawn"));
        }),
      );
    },
  };
}

describe("a user node whose time is over", () => {
  it("goes on with the answer given for that case, and takes the question back", async () => {
    const channel = silent();
    const metricsCollector = new MetricsCollector();
    const { clock, open } = world({
      ...team({ onTimeout: { answer: "no" } }),
      communicationConfig: { channel },
      metricsCollector,
    });
    await using orchestra = open();
    const running = orchestra.execute("x", { sessionId: "s" });
    await rest(clock);
    await clock.advance(HOUR - 1);
    await rest(clock);
    expect(channel.heard).toEqual(["User asks"]);
    await clock.advance(1);
    await rest(clock);
    const result = await running;
    expect(result.finalResponse).toBe('got "no"');
    expect(result.metadata.timedOut).toEqual(["User"]);
    expect(channel.heard).toEqual(["User asks", "User withdrawn"]);
    expect(metricsCollector.getMetrics()).toMatchObject({ questions: 1, questions_timed_out: 1 });
  });

  it("fails where no answer is given for that case", async () => {
    const { clock, open } = world({ ...team({}), communicationConfig: { channel: silent() } });
    await using orchestra = open();
    const running = orchestra.execute("x");
    await rest(clock);
    await clock.advance(HOUR);
    await rest(clock);
    expect(await running).toMatchObject({
      status: "failed",
      error: { code: "ORCH_TIMEOUT", node: "User", message: "nobody answered the question of User within 3600000 ms" },
    });
  });

  it("leads over its error edge, for one to a second person", async () => {
    const { clock, communicationManager, open } = world({
      topology: {
        nodes: ["A", Node("Clerk", { kind: "user", timeoutMs: HOUR }), Node("Boss", { kind: "user" }), "B"],
        edges: ["A -> Clerk", "Clerk -> B", Edge("Clerk", "Boss", { on: "error" }), "Boss -> B"],
      },
      agents: { A: () => "may I?", B: got },
    });
    await using orchestra = open();
    const { sessionId } = await orchestra.execute("x");
    await clock.advance(HOUR);
    await rest(clock);
    const [question, ...others] = await communicationManager.pending({ sessionId });
    expect(question).toMatchObject({ node: "Boss", prompt: "may I?" });
    expect(others).toEqual([]);
    await communicationManager.submitResponse(question!.questionId, "yes");
    await rest(clock);
    expect((await orchestra.resumeSession(sessionId)).finalResponse).toBe('got "yes"');
  });

  it("is gone on with where its run had ended awaiting_user", async () => {
    const { clock, communicationManager, open } = world(team({ onTimeout: { answer: "no" } }));
    await using orchestra = open();
    const { sessionId, status } = await orchestra.execute("x");
    expect(status).toBe("awaiting_user");
    expect(await communicationManager.pending()).toMatchObject([{ dueAtMs: clock.nowMs() + HOUR }]);
    await clock.advance(HOUR);
    await rest(clock);
    expect(await orchestra.getSession(sessionId)).toMatchObject({ status: "completed" });
    expect((await orchestra.resumeSession(sessionId)).finalResponse).toBe('got "no"');
  });

  it("is gone on with by the next instance, before or after the time is over", async () => {
    const { clock, open } = world(team({ onTimeout: { answer: "no" } }));
    const first = open();
    await first.execute("x", { sessionId: "late" });
    await clock.advance(HOUR / 2);
    await first.execute("x", { sessionId: "later" });
    await first.close();
    await clock.advance(HOUR / 2);
    await using second = open();
    expect((await second.resumeSession("late")).finalResponse).toBe('got "no"');
    expect(await second.getSession("later")).toMatchObject({ status: "awaiting_user" });
    await clock.advance(HOUR / 2);
    await rest(clock);
    expect(await second.getSession("later")).toMatchObject({ status: "completed" });
  });

  it("takes no answer that comes too late", async () => {
    const { clock, communicationManager, open } = world(team({ onTimeout: { answer: "no" } }));
    const first = open();
    const { sessionId } = await first.execute("x");
    const [question] = await communicationManager.pending();
    await first.close();
    await clock.advance(HOUR);
    await using second = open();
    // So that the time-out is not taken by the first use.
    await second.recover({ resume: false });
    await expect(communicationManager.submitResponse(question!.questionId, "yes")).rejects.toEqual(
      code("ORCH_QUESTION_EXPIRED"),
    );
    await expect(second.resumeSession(sessionId, { userResponse: "yes" })).rejects.toEqual(
      code("ORCH_QUESTION_EXPIRED"),
    );
    expect((await second.resumeSession(sessionId)).finalResponse).toBe('got "no"');
  });

  it("takes no notice while its run is paused; an answer of that time counts", async () => {
    const { clock, communicationManager, open } = world(team({ onTimeout: { answer: "no" } }));
    await using orchestra = open();
    for (const sessionId of ["answered", "not"]) {
      await orchestra.execute("x", { sessionId });
      expect(await orchestra.pauseSession(sessionId)).toBe(true);
    }
    const [question] = await communicationManager.pending({ sessionId: "answered" });
    await communicationManager.submitResponse(question!.questionId, "yes");
    await clock.advance(2 * HOUR);
    await rest(clock);
    expect(await orchestra.getSession("not")).toMatchObject({ status: "paused" });
    expect((await orchestra.resumeSession("answered")).finalResponse).toBe('got "yes"');
    expect((await orchestra.resumeSession("not")).finalResponse).toBe('got "no"');
  });

  it("stops nothing else: the other question stays open, and the rest of the run goes on", async () => {
    const channel = queueChannel();
    const { clock, open } = world({
      topology: {
        nodes: [
          "S",
          Node("Ann", { kind: "user", timeoutMs: HOUR, onTimeout: { answer: "silence" } }),
          Node("Bob", { kind: "user", timeoutMs: 3 * HOUR }),
          "J",
        ],
        edges: ["S -> Ann", "S -> Bob", "Ann -> J", "Bob -> J"],
      },
      agents: { S: () => "well?", J: got },
      communicationConfig: { channel },
    });
    await using orchestra = open();
    const running = orchestra.execute("x");
    const asked: string[] = [];
    for await (const { node, questionId } of channel) {
      asked.push(node);
      if (asked.length < 2) continue;
      await clock.advance(2 * HOUR);
      await rest(clock);
      expect(() => channel.respond(questionId.replace(/2$/, "1"), "late")).toThrow(code("ORCH_QUESTION_UNKNOWN"));
      channel.respond(questionId, "here");
      break;
    }
    await rest(clock);
    expect((await running).finalResponse).toBe('got [{"from":"Ann","value":"silence"},{"from":"Bob","value":"here"}]');
  });

  it("within a nested run goes on there", async () => {
    const { clock, open } = world({
      topology: { nodes: ["Outer", "Team"], edges: ["Outer -> Team"] },
      agents: { Outer: (x: unknown) => x, Team: team({ onTimeout: { answer: "no" } }) },
    });
    await using orchestra = open();
    const { sessionId, status } = await orchestra.execute("x");
    expect(status).toBe("awaiting_user");
    await clock.advance(HOUR);
    await rest(clock);
    expect((await orchestra.resumeSession(sessionId)).finalResponse).toBe('got "no"');
  });

  it("has the time it had left when a checkpoint is gone back to", async () => {
    const { clock, communicationManager, open } = world(team({ onTimeout: { answer: "no" } }));
    await using orchestra = open();
    const { sessionId } = await orchestra.execute("x");
    await clock.advance(HOUR / 4);
    const checkpoint = await orchestra.createCheckpoint(sessionId);
    await clock.advance(HOUR);
    await rest(clock);
    await orchestra.restoreCheckpoint(checkpoint);
    await orchestra.resumeSession(sessionId);
    const [question] = await communicationManager.pending({ sessionId });
    // The checkpoint was made of the commit that asked.
    expect(question?.dueAtMs).toBe(clock.nowMs() + HOUR);
  });
});

describe("next.ask with a time limit", () => {
  const asking = (options: Parameters<AgentContext["ask"]>[1]) => ({
    topology: { nodes: ["A"] },
    agents: {
      A: (input: unknown, ctx: AgentContext) =>
        ctx.question === undefined ? ctx.ask({ kind: "confirm", message: "sure?" }, options) : got(input),
    },
  });

  it("gives the agent the answer for that case", async () => {
    const { clock, open } = world(asking({ timeoutMs: HOUR, onTimeout: { answer: "no" } }));
    await using orchestra = open();
    const { sessionId } = await orchestra.execute("x");
    await clock.advance(HOUR);
    await rest(clock);
    expect((await orchestra.resumeSession(sessionId)).finalResponse).toBe("got false");
  });

  it("fails the node without one", async () => {
    const { clock, open } = world(asking({ timeoutMs: HOUR }));
    await using orchestra = open();
    const { sessionId } = await orchestra.execute("x");
    await clock.advance(HOUR);
    await rest(clock);
    expect((await orchestra.resumeSession(sessionId)).error).toMatchObject({ code: "ORCH_TIMEOUT", node: "A" });
  });

  it.each([
    [{ timeoutMs: 0 }, "ORCH_BAD_OPTION"],
    [{ timeoutms: 5 }, "ORCH_BAD_OPTION"],
    [{ timeoutMs: 5, onTimeout: "give up" }, "ORCH_BAD_OPTION"],
    [{ timeoutMs: 5, onTimeout: { answer: "perhaps" } }, "ORCH_ANSWER_INVALID"],
  ])("is refused when wrong: %j", async (options, expected) => {
    const result = await Orchestra.run({ task: "x", ...asking(options as never) });
    expect(result.error).toMatchObject({ code: expected });
  });
});

it("a topology says what is wrong with its user nodes and time limits", async () => {
  const wrong = (nodes: unknown[]) =>
    expect(Orchestra.run({ task: "x", topology: { nodes, edges: ["A -> U"] } as never, agents: { A: got } })).rejects;
  await wrong(["A", Node("U", { kind: "user", onTimeout: "later" as never })]).toThrow('expected "fail" or { answer }');
  await wrong(["A", Node("U", { kind: "user", onTimeout: { answer: new Date() } })]).toThrow("expected plain JSON");
  await wrong([Node("A", { onTimeout: "fail" }), "U"]).toThrow("A is no user node: onTimeout");
});
