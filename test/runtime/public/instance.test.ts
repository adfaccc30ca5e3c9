import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";

import {
  callbackChannel,
  CommunicationManager,
  LevelStorage,
  memoryStorage,
  next,
  Orchestra,
  OrchestraInstance,
  queueChannel,
  seededRandom,
  StateManager,
  terminalChannel,
  type AgentContext,
  type RunEvent,
} from "orchestra";
import { beforeEach, describe, expect, it } from "vitest";
import { SimClock } from "../../../src/testing/sim-clock.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-instance-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

const one = { nodes: ["A"] };
const asker = (input: unknown, ctx: AgentContext): unknown =>
  ctx.question === undefined ? next.ask(`which ${String(input)}?`) : `answer: ${String(input)}`;
const code = (expected: string) => expect.objectContaining({ code: expected });

function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

async function collect(events: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const all: RunEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe("Orchestra.run", () => {
  it("rejects with a coded error for what cannot start, before anything ran", async () => {
    let ran = false;
    const agents = { A: () => (ran = true) };
    await expect(
      Orchestra.run({ task: "x", topology: { nodes: ["A"], edges: ["A -> Nobody"] }, agents }),
    ).rejects.toMatchObject({ code: "ORCH_TOPOLOGY_INVALID" });
    await expect(
      Orchestra.run({ task: "x", topology: { nodes: ["Aa"] }, agents: { Ab: () => 1 } }),
    ).rejects.toMatchObject({ code: "ORCH_AGENT_UNKNOWN", message: expect.stringContaining('did you mean "Ab"?') });
    await expect(Orchestra.run({ task: "x", topology: one, agents, maxStep: 3 } as never)).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
      message: expect.stringContaining('did you mean "maxSteps"?'),
    });
    await expect(Orchestra.run({ task: { f: () => 1 }, topology: one, agents })).rejects.toMatchObject({
      code: "ORCH_NOT_SERIALIZABLE",
    });
    expect(ran).toBe(false);
  });

  it("resolves for what a run can end in: a failure", async () => {
    const failed = await Orchestra.run({
      task: "x",
      topology: one,
      agents: { A: () => Promise.reject(new Error("no luck")) },
    });
    expect(failed).toMatchObject({
      status: "failed",
      success: false,
      error: { node: "A", message: expect.stringContaining("no luck") },
      metadata: { terminalReason: "failed" },
    });
    expect(() => failed.orThrow()).toThrow("no luck");
  });

  it("resolves for what a run can end in: the bound on steps", async () => {
    const result = await Orchestra.run({
      task: "x",
      topology: {
        nodes: ["A", "B"],
        entryPoint: "A",
        edges: ["A -> B", { from: "B", to: "A", condition: "output != 'done'" }, "B -> End"],
      },
      agents: { A: (x: string) => x, B: (x: string) => x },
      maxSteps: 5,
    });
    expect(result).toMatchObject({
      status: "failed",
      totalSteps: 5,
      error: { code: "ORCH_MAX_STEPS" },
      metadata: { terminalReason: "max_steps" },
    });
  });

  it("is cancelled by its signal", async () => {
    const abort = new AbortController();
    const running = Orchestra.run({
      task: "x",
      topology: one,
      agents: {
        A: (_input, ctx) => (abort.abort(), new Promise((resolve) => ctx.signal.addEventListener("abort", resolve))),
      },
      signal: abort.signal,
    });
    expect(await running).toMatchObject({
      status: "cancelled",
      error: { code: "ORCH_CANCELLED" },
      metadata: { terminalReason: "cancelled" },
    });
  });

  it("waits for a person without a channel by ending awaiting_user, naming the question", async () => {
    const result = await Orchestra.run({ task: "way", topology: one, agents: { A: asker } });
    expect(result).toMatchObject({
      status: "awaiting_user",
      metadata: { terminalReason: "awaiting_user", questions: [{ node: "A", prompt: "which way?" }] },
    });
  });

  it("goes on with the answer its channel brings", async () => {
    const result = await Orchestra.run({
      task: "way",
      topology: one,
      agents: { A: asker },
      communicationConfig: { channel: callbackChannel((question) => `${String(question.prompt)} left`) },
    });
    expect(result.orThrow().finalResponse).toBe("answer: which way? left");
  });

  it("brings the question of a nested run to the channel once, and its answer back to it", async () => {
    const asked: unknown[] = [];
    const channel = callbackChannel((question) => (asked.push(question.prompt), "inside"));
    const result = await Orchestra.run({
      task: "way",
      topology: { nodes: ["Outer", "Team"], edges: ["Outer -> Team"] },
      agents: { Outer: (x: unknown) => x, Team: { topology: one, agents: { A: asker } } },
      communicationConfig: { channel },
    });
    expect(result.orThrow().finalResponse).toBe("answer: inside");
    expect(asked).toEqual(["which way?"]);
  });

  it("refuses bad options of a nested run as a failure of its step", async () => {
    const result = await Orchestra.run({
      task: "x",
      topology: one,
      agents: { A: (_input, ctx) => ctx.run({ topologie: one }) },
    });
    expect(result.error).toMatchObject({ code: "ORCH_BAD_OPTION", message: expect.stringContaining("topologie") });
  });

  it("leaves the question open when the channel fails", async () => {
    const channel = callbackChannel(() => Promise.reject(new Error("hung up")));
    expect(
      (await Orchestra.run({ task: "way", topology: one, agents: { A: asker }, communicationConfig: { channel } }))
        .status,
    ).toBe("awaiting_user");
  });

  it("asks on a terminal, one question after another", async () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    let shown = "";
    output.on("data", (chunk: Buffer) => {
      shown += chunk.toString();
      if (shown.endsWith("> ")) input.write("left\n");
    });
    const result = await Orchestra.run({
      task: "way",
      topology: { nodes: ["S", "A", "B"], edges: ["S -> A", "S -> B"] },
      agents: { S: (x: unknown) => x, A: asker, B: asker },
      communicationConfig: { channel: terminalChannel({ input, output }) },
    });
    expect(result.orThrow().finalResponse).toEqual(["answer: left", "answer: left"]);
    expect(shown).toMatch(/\[A\] which way\?[^]*\[B\] which way\?/);
  });

  it("runs the same once for the same idempotency key", async () => {
    const stateManager = new StateManager({ storage: memoryStorage() });
    let runs = 0;
    const run = () =>
      Orchestra.run({ task: "x", topology: one, agents: { A: () => ++runs }, idempotencyKey: "order-1", stateManager });
    const [first, second] = [await run(), await run()];
    expect([first.runId, first.finalResponse]).toEqual([second.runId, second.finalResponse]);
    expect(runs).toBe(1);
  });

  it("starts a session over when told so", async () => {
    const stateManager = new StateManager({ storage: memoryStorage() });
    const run = (fresh: boolean) =>
      Orchestra.run({
        task: "x",
        topology: one,
        agents: { A: (_input, ctx) => ctx.session.runs.length },
        sessionId: "s",
        fresh,
        stateManager,
      });
    expect([
      (await run(false)).finalResponse,
      (await run(false)).finalResponse,
      (await run(true)).finalResponse,
    ]).toEqual([0, 1, 0]);
  });

  it("refuses a session that is running", async () => {
    const stateManager = new StateManager({ storage: new LevelStorage(join(folder, "state")) });
    const { open, opened } = gate();
    const started = gate();
    const first = Orchestra.run({
      task: "x",
      topology: one,
      agents: { A: () => (started.open(), opened) },
      sessionId: "s",
      stateManager,
    });
    await started.opened;
    await expect(
      Orchestra.run({ task: "y", topology: one, agents: { A: () => 1 }, sessionId: "s", stateManager }),
    ).rejects.toMatchObject({ code: "ORCH_SESSION_BUSY" });
    open();
    expect((await first).success).toBe(true);
  });

  it("takes agents from the topology itself, and a topology as an agent", async () => {
    const own = await Orchestra.run({
      task: "x",
      topology: { agents: [{ name: "Own", allowedPeers: [], run: () => "own" }] } as never,
    });
    expect(own.orThrow().finalResponse).toBe("own");
    const nested = await Orchestra.run({
      task: { n: 1 },
      topology: { nodes: ["Outer", "Team"], edges: ["Outer -> Team"] },
      agents: {
        Outer: ({ n }: { n: number }) => n + 1,
        Team: {
          topology: { nodes: ["X", "Y"], edges: ["X -> Y"] },
          agents: { X: (n: number) => n * 10, Y: (n: number) => n + 1 },
        },
      },
    });
    expect(nested.orThrow().finalResponse).toBe(21);
    expect(nested.totalSteps).toBe(4);
  });

  it("hides all but code, message and node of an error when its context is not to be preserved", async () => {
    const seen: unknown[] = [];
    const failing = Object.assign(new Error("down"), { data: { secret: 1 }, cause: new Error("why") });
    const run = (preserveErrorContext: boolean) =>
      Orchestra.run({
        task: "x",
        topology: { nodes: ["A", "MyErrorHandler"], edges: ["A -> MyErrorHandler"] },
        agents: { A: () => Promise.reject(failing), MyErrorHandler: (_input, ctx) => (seen.push(ctx.error), ctx.node) },
        errorConfig: { preserveErrorContext },
      });
    expect((await run(true)).orThrow().finalResponse).toBe("MyErrorHandler");
    expect((await run(false)).orThrow().finalResponse).toBe("MyErrorHandler");
    expect(seen[0]).toMatchObject({ message: "down", cause: { message: "why" } });
    expect(Object.keys(seen[1] as object).sort()).toEqual(["code", "message", "node"]);
  });

  it("lets go of the folder with its result, so that another may open it", async () => {
    const storage = new LevelStorage(join(folder, "state"));
    const stateManager = new StateManager({ storage });
    await Orchestra.run({ task: "x", topology: one, agents: { A: () => 1 }, sessionId: "s", stateManager });
    const other = new LevelStorage(join(folder, "state"));
    expect((await other.getSession("s"))?.status).toBe("completed");
    await other.close();
    expect(
      (
        await Orchestra.run({
          task: "x",
          topology: one,
          agents: { A: (_input, ctx) => ctx.session.runs.length },
          sessionId: "s",
          stateManager,
        })
      ).finalResponse,
    ).toBe(1);
  });
});

describe("Orchestra.stream", () => {
  it.each([{}, { sessionId: "s" }])("gives the events of the run in order, and its result %j", async (named) => {
    const handle = Orchestra.stream({
      ...named,
      task: "x",
      topology: { nodes: ["A", "B"], edges: ["A -> B"] },
      agents: { A: (_input, ctx) => (ctx.emit("tick"), 1), B: () => 2 },
    });
    const events = await collect(handle);
    expect(events[0]?.type).toBe("run.started");
    expect(events.at(-1)?.type).toBe("run.completed");
    expect(events.filter(({ type }) => type === "step.succeeded")).toHaveLength(2);
    const seqs = events.filter(({ type }) => type !== "step.chunk").map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    expect((await handle.result).finalResponse).toBe(2);
    expect(events.every(({ sessionId }) => sessionId === handle.sessionId)).toBe(true);
  });

  it("goes on when the loop is left early, and may be cancelled by the handle", async () => {
    const started = gate();
    const handle = Orchestra.stream({
      task: "x",
      topology: one,
      agents: {
        A: (_input, ctx) => (started.open(), new Promise((resolve) => ctx.signal.addEventListener("abort", resolve))),
      },
    });
    for await (const event of handle) if (event.type === "step.started") break;
    await started.opened;
    expect(await handle.cancel("enough")).toBe(true);
    expect((await handle.result).status).toBe("cancelled");
  });

  it("rejects both ways for what cannot start", async () => {
    const handle = Orchestra.stream({ task: "x", topology: { nodes: ["A"] }, agents: {} });
    await expect(collect(handle)).rejects.toMatchObject({ code: "ORCH_AGENT_UNKNOWN" });
    await expect(handle.result).rejects.toMatchObject({ code: "ORCH_AGENT_UNKNOWN" });
    expect(() => Orchestra.stream({ task: "x", topology: one, agents: {}, verbosity: 7 } as never)).toThrowError(
      code("ORCH_BAD_OPTION"),
    );
  });
});

describe("OrchestraInstance", () => {
  it("takes a task as it is, or an object of options", async () => {
    await using orchestra = new OrchestraInstance({ topology: one, agents: { A: (input: unknown) => input } });
    expect((await orchestra.execute("text")).finalResponse).toBe("text");
    expect((await orchestra.execute({ plain: "object" })).finalResponse).toEqual({ plain: "object" });
    expect((await orchestra.execute({ task: "in options", sessionId: "s" })).sessionId).toBe("s");
    expect((await orchestra.execute("text", { sessionId: "t", maxSteps: 3 })).sessionId).toBe("t");
  });

  it("continues from a fresh instance what waits for an answer", async () => {
    const stateManager = () => new StateManager({ storage: new LevelStorage(join(folder, "state")) });
    {
      await using first = new OrchestraInstance({ topology: one, agents: { A: asker }, stateManager: stateManager() });
      expect((await first.execute("way", { sessionId: "s" })).status).toBe("awaiting_user");
      expect((await first.why("s")).questions).toHaveLength(1);
    }
    await using second = new OrchestraInstance({ agents: { A: asker }, stateManager: stateManager() });
    expect((await second.resumeSession("s", { userResponse: "left" })).orThrow().finalResponse).toBe("answer: left");
    await expect(second.execute("x")).rejects.toMatchObject({ code: "ORCH_BAD_OPTION" });
    await expect(second.resumeSession("s")).rejects.toMatchObject({ code: "ORCH_SESSION_STATE" });
    await expect(second.resumeSession("nobody")).rejects.toMatchObject({ code: "ORCH_SESSION_UNKNOWN" });
  });

  it("needs a record by question id when several questions are open", async () => {
    await using orchestra = new OrchestraInstance({
      topology: { nodes: ["S", "A", "B"], edges: ["S -> A", "S -> B"] },
      agents: { S: (x: unknown) => x, A: asker, B: asker },
    });
    const waiting = await orchestra.execute("way", { sessionId: "s" });
    const ids = waiting.metadata.questions.map(({ questionId }) => questionId);
    expect(ids).toHaveLength(2);
    await expect(orchestra.resumeSession("s", { userResponse: "left" })).rejects.toMatchObject({
      code: "ORCH_AMBIGUOUS_ANSWER",
    });
    const answers = Object.fromEntries(
      waiting.metadata.questions.map(({ questionId, node }) => [questionId, `for ${node}`]),
    );
    expect((await orchestra.resumeSession("s", { userResponse: answers })).orThrow().finalResponse).toEqual([
      "answer: for A",
      "answer: for B",
    ]);
  });

  it("lists pending questions and takes answers through its communication manager", async () => {
    const communicationManager = new CommunicationManager();
    await using orchestra = new OrchestraInstance({ topology: one, agents: { A: asker }, communicationManager });
    await orchestra.execute("way", { sessionId: "s" });
    const [question, ...others] = await communicationManager.pending({ sessionId: "s" });
    expect(question).toMatchObject({ sessionId: "s", node: "A", prompt: "which way?" });
    expect(others).toEqual([]);
    await expect(communicationManager.submitResponse("q-none", 1)).rejects.toMatchObject({
      code: "ORCH_QUESTION_UNKNOWN",
    });
    await communicationManager.submitResponse(question?.questionId ?? "", "right");
    for await (const event of orchestra.events("s")) if (event.type === "run.completed") break;
    expect((await orchestra.getResult("s")).finalResponse).toBe("answer: right");
  });

  it("carries questions over a queue", async () => {
    const channel = queueChannel();
    await using orchestra = new OrchestraInstance({
      topology: one,
      agents: { A: asker },
      communicationConfig: { channel },
    });
    const running = orchestra.execute("way");
    for await (const question of channel) {
      expect(() => channel.respond("other", 1)).toThrowError(code("ORCH_QUESTION_UNKNOWN"));
      channel.respond(question.questionId, "straight");
      channel.close();
    }
    expect((await running).orThrow().finalResponse).toBe("answer: straight");
  });

  it("pauses, cancels, lists, forks, compares, traces and deletes sessions", async () => {
    await using orchestra = new OrchestraInstance({
      topology: { nodes: ["A", "B"], edges: ["A -> B"] },
      agents: {
        A: async (x: unknown, ctx) => (
          ctx.context["go"] === undefined && (await orchestra.pauseSession(ctx.sessionId, "wait")),
          x
        ),
        B: (x: string, ctx) => `${x}${String(ctx.context["go"])}`,
      },
    });
    expect((await orchestra.execute("a", { sessionId: "s1" })).status).toBe("paused");
    expect((await orchestra.listSessions({ status: "paused" })).map(({ sessionId }) => sessionId)).toEqual(["s1"]);
    const checkpoint = await orchestra.createCheckpoint("s1", "here");
    const fork = await orchestra.forkCheckpoint(checkpoint, { sessionId: "s2" });
    expect(fork).toBe("s2");
    expect((await orchestra.resumeSession("s1", { additionalContext: { go: 1 } })).finalResponse).toBe("a1");
    expect((await orchestra.resumeSession("s2", { additionalContext: { go: 2 } })).finalResponse).toBe("a2");
    expect(await orchestra.diff("s1", "s2")).toMatchObject({ equal: false });
    const steps = [];
    for await (const step of orchestra.trace("s1")) steps.push(step.node);
    expect(steps).toEqual(["A", "B"]);
    expect(await orchestra.pauseSession("s1")).toBe(false);
    expect(await orchestra.cancelSession("s1")).toBe(false);
    expect(await orchestra.cancelSession("unknown")).toBe(false);
    await orchestra.execute("c", { sessionId: "s3" });
    expect(await orchestra.cancelSession("s3", "no need")).toBe(true);
    expect((await orchestra.getSession("s3"))?.status).toBe("cancelled");
    expect([await orchestra.deleteSession("s3"), await orchestra.deleteSession("s3")]).toEqual([true, false]);
    expect((await orchestra.listSessions({ limit: 1 })).length).toBe(1);
    expect((await orchestra.listSessions({ cursor: "s1" })).map(({ sessionId }) => sessionId)).toEqual(["s2"]);
  });

  it("replays events and then goes on live, from any place", async () => {
    await using orchestra = new OrchestraInstance({ topology: one, agents: { A: () => 1 } });
    await orchestra.execute("x", { sessionId: "s" });
    const abort = new AbortController();
    const all: RunEvent[] = [];
    for await (const event of orchestra.events("s", { signal: abort.signal })) {
      all.push(event);
      if (event.type === "run.completed") abort.abort();
    }
    const middle = all[1]?.seq ?? 0;
    const rest = new AbortController();
    const later: RunEvent[] = [];
    for await (const event of orchestra.events("s", { after: middle, signal: rest.signal })) {
      later.push(event);
      if (event.type === "run.completed") rest.abort();
    }
    expect(later).toEqual(all.filter(({ seq }) => seq > middle));
  });

  it("follows up in the same session, with the transcript", async () => {
    await using orchestra = new OrchestraInstance({
      topology: one,
      agents: { A: (input: string, ctx) => [...ctx.session.transcript.map(({ content }) => content), input].join("|") },
    });
    const first = await orchestra.execute("q1");
    expect((await orchestra.followUp(first.sessionId, "q2")).finalResponse).toBe("q1|q1|q2");
    await expect(orchestra.followUp("nobody", "q")).rejects.toMatchObject({ code: "ORCH_SESSION_UNKNOWN" });
  });

  it("continues on first use what was running when its process died", async () => {
    const storage = memoryStorage();
    const crashed = new OrchestraInstance({
      topology: one,
      agents: { A: () => new Promise(() => undefined) },
      stateManager: new StateManager({ storage }),
    });
    const lost = crashed.execute("x", { sessionId: "s" });
    for await (const event of crashed.stream("y", { sessionId: "t" })) if (event.type === "step.started") break;
    const rejected = expect(lost).rejects.toMatchObject({ code: "ORCH_CLOSED" });
    await crashed.close();
    await rejected;
    await using orchestra = new OrchestraInstance({
      topology: one,
      agents: { A: (input: string) => `done ${input}` },
      stateManager: new StateManager({ storage }),
    });
    await orchestra.listSessions();
    for await (const event of orchestra.events("s")) if (event.type === "run.completed") break;
    expect((await orchestra.getResult("s")).finalResponse).toBe("done x");
  });

  describe("recover()", () => {
    /** A store with the session "s", running, whose process is gone. */
    async function storeLeftBehind(): Promise<ReturnType<typeof memoryStorage>> {
      const storage = memoryStorage();
      const crashed = new OrchestraInstance({
        topology: one,
        agents: { A: () => new Promise(() => undefined) },
        stateManager: new StateManager({ storage }),
      });
      const handle = crashed.stream("x", { sessionId: "s" });
      handle.result.catch(() => undefined);
      for await (const event of handle) if (event.type === "step.started") break;
      await crashed.close();
      return storage;
    }
    const A = (input: string): string => `done ${input}`;

    it("returns as the first call what it continues, with its result", async () => {
      const stateManager = new StateManager({ storage: await storeLeftBehind() });
      await using orchestra = new OrchestraInstance({ topology: one, agents: { A }, stateManager });
      const recovered = await orchestra.recover();
      expect(recovered).toMatchObject([{ sessionId: "s", action: "resumed" }]);
      expect((await recovered[0]?.result)?.finalResponse).toBe("done x");
      expect(await orchestra.recover()).toEqual([]);
    });

    it("continues nothing with resume: false as the first call, and leaves it to resumeSession", async () => {
      const stateManager = new StateManager({ storage: await storeLeftBehind() });
      let calls = 0;
      await using orchestra = new OrchestraInstance({
        topology: one,
        agents: { A: (input: string) => (calls++, A(input)) },
        stateManager,
      });
      expect(await orchestra.recover({ resume: false })).toMatchObject([{ sessionId: "s", action: "left" }]);
      expect(await orchestra.getSession("s")).toMatchObject({ status: "paused" });
      expect(calls).toBe(0);
      expect((await orchestra.resumeSession("s")).finalResponse).toBe("done x");
    });

    it("returns afterwards what the first use continued, while it runs", async () => {
      const stateManager = new StateManager({ storage: await storeLeftBehind() });
      let open = (): void => undefined;
      const opened = new Promise<void>((resolve) => (open = resolve));
      await using orchestra = new OrchestraInstance({
        topology: one,
        agents: { A: (input: string) => opened.then(() => A(input)) },
        stateManager,
      });
      await orchestra.listSessions();
      const recovered = await orchestra.recover();
      expect(recovered).toMatchObject([{ sessionId: "s", action: "resumed" }]);
      open();
      expect((await recovered[0]?.result)?.finalResponse).toBe("done x");
    });
  });

  it("makes automatic checkpoints: after steps, and by the clock", async () => {
    const topology = { nodes: ["A", "B", "C"], edges: ["A -> B -> C"] };
    const timers: (() => void)[] = [];
    const clock = {
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      setTimer: (ms: number, fire: () => void) =>
        ms === 777
          ? (timers.push(fire), () => undefined)
          : (
              (handle) => () =>
                clearTimeout(handle)
            )(setTimeout(fire, ms)),
    };
    const stateManager = new StateManager({ storage: memoryStorage(), autoSaveIntervalMs: 777 });
    const names = async (): Promise<string[]> => (await orchestra.listCheckpoints("s")).map(({ name }) => name);
    await using orchestra = new OrchestraInstance({
      topology,
      agents: {
        A: () => 1,
        B: async () => {
          timers[0]?.();
          await expect.poll(names).toContain("autosave");
          return 2;
        },
        C: () => 3,
      },
      stateManager,
      clock,
    });
    await orchestra.execute("x", { sessionId: "s", executionConfig: { autoCheckpoint: { everySteps: 1, keep: 1 } } });
    expect(await names()).toContain("autosave");
    await expect.poll(async () => (await names()).some((name) => /^auto-\d/.test(name))).toBe(true);
  });

  it("drains: takes no more, lets what runs finish, and leaves the rest resumable", async () => {
    const { open, opened } = gate();
    const started = gate();
    const stateManager = new StateManager({ storage: memoryStorage() });
    const topology = { nodes: ["A", "B"], edges: ["A -> B"] };
    const orchestra = new OrchestraInstance({
      topology,
      agents: { A: () => (started.open(), opened.then(() => "a")), B: (x: string) => `${x}b` },
      stateManager,
    });
    const running = orchestra.execute("x", { sessionId: "s" });
    await started.opened;
    const drained = orchestra.drain({ timeoutMs: 5_000 });
    await expect(orchestra.execute("y")).rejects.toMatchObject({ code: "ORCH_DRAINING" });
    open();
    await drained;
    expect((await running).success).toBe(false);
    await orchestra.close();
    await expect(orchestra.execute("z")).rejects.toMatchObject({ code: "ORCH_CLOSED" });
    await orchestra.close();
    await using again = new OrchestraInstance({
      topology,
      agents: { A: () => "never", B: (x: string) => `${x}b` },
      stateManager,
    });
    expect((await again.resumeSession("s")).orThrow().finalResponse).toBe("ab");
  });
});

it("refuses a checkpoint nobody made, and ends what is aborted before it starts without calling an agent", async () => {
  let called = false;
  await using orchestra = new OrchestraInstance({ topology: one, agents: { A: () => (called = true) } });
  await expect(orchestra.restoreCheckpoint("cp_none")).rejects.toMatchObject({ code: "ORCH_CHECKPOINT_UNKNOWN" });
  await expect(orchestra.forkCheckpoint("cp_none")).rejects.toMatchObject({ code: "ORCH_CHECKPOINT_UNKNOWN" });
  const aborted = await orchestra.execute("x", { signal: AbortSignal.abort() });
  expect([aborted.status, called]).toEqual(["cancelled", false]);
});

it("overwrites nothing when time and chance that were handed in name the same session again", async () => {
  const run = async (task: string): Promise<string> => {
    await using orchestra = new OrchestraInstance({
      topology: one,
      agents: { A: (input: unknown) => input },
      stateManager: new StateManager({ storage: new LevelStorage(folder) }),
      clock: new SimClock(),
      random: seededRandom(7),
    });
    return (await orchestra.execute(task)).sessionId;
  };
  const sessionId = await run("first");
  expect(await run("second")).toBe(sessionId);
  await using orchestra = new OrchestraInstance({
    stateManager: new StateManager({ storage: new LevelStorage(folder) }),
  });
  const events = await collect(orchestra.events(sessionId, { untilNow: true }));
  const values = events.flatMap((event) => (event.type === "run.completed" ? [event.value] : []));
  expect(values).toEqual(["first", "second"]);
});
