import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { createLocalBus } from "../../src/bus/local-bus.ts";
import type { StepQueue } from "../../src/bus/ports.ts";
import { next } from "../../src/runtime/agent.ts";
import type { RunEvent } from "../../src/runtime/engine-api.ts";
import type { EngineOptions } from "../../src/runtime/engine.ts";
import { code, deferred, request, run, topology, world } from "./world.ts";

describe("control of a run", () => {
  it("pauses after the step in flight, and resumes in a fresh engine without the topology", async () => {
    const { engine, again } = world();
    const gate = deferred();
    const reached = deferred();
    const calls: string[] = [];
    const agents = {
      A: async () => {
        calls.push("A");
        reached.resolve();
        await gate.promise;
        return "a";
      },
      B: (x: string, ctx: { context: Readonly<Record<string, unknown>> }) => {
        calls.push("B");
        return `${x}b${String(ctx.context["extra"] ?? "")}`;
      },
    };
    const handle = await engine.start(request("t", topology("A -> B"), agents));
    await reached.promise;
    expect(await engine.pause(handle.sessionId, "lunch")).toBe(true);
    gate.resolve();
    const paused = await handle.outcome;
    expect(paused.status).toBe("paused");
    expect(paused.state.run?.pause?.reason).toBe("lunch");
    await engine.close();

    const later = again().engine;
    const resumed = await later.resume(handle.sessionId, { code: code(agents), context: { extra: "!" } });
    expect(resumed.runId).toBe(handle.runId);
    const outcome = await resumed.outcome;
    expect(outcome.finalResponse).toBe("ab!");
    expect(calls).toEqual(["A", "B"]);
    expect(outcome.trace.map((step) => step.node)).toEqual(["A", "B"]);
    await later.close();
  });

  it("pauses at once when steps are aborted, and runs those again on resume", async () => {
    const { engine } = world();
    const reached = deferred();
    let calls = 0;
    const agents = code({
      A: (_x, ctx) => {
        calls++;
        if (calls > 1) return "second";
        reached.resolve();
        return new Promise((_r, reject) => ctx.signal.addEventListener("abort", () => reject(new Error("stopped"))));
      },
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    await reached.promise;
    await engine.pause(handle.sessionId, undefined, "abort");
    expect((await handle.outcome).status).toBe("paused");
    expect((await (await engine.resume(handle.sessionId, {})).outcome).finalResponse).toBe("second");
    await engine.close();
  });

  it("says false when there is nothing to pause or cancel", async () => {
    const { engine } = world();
    expect(await engine.pause("nobody")).toBe(false);
    const handle = await engine.start(request("t", topology("A"), { A: (x) => x }));
    await handle.outcome;
    expect(await engine.cancel(handle.sessionId)).toBe(false);
    await engine.close();
  });

  it("cancels when the caller's signal aborts, also one aborted before", async () => {
    const { engine } = world();
    const stop = new AbortController();
    const handle = await engine.start(
      request("t", topology("A"), { A: () => new Promise(() => undefined) }, { signal: stop.signal }),
    );
    stop.abort();
    expect((await handle.outcome).status).toBe("cancelled");
    const early = await engine.start(
      request("t", topology("A"), { A: () => new Promise(() => undefined) }, { signal: AbortSignal.abort() }),
    );
    expect((await early.outcome).status).toBe("cancelled");
    await engine.close();
  });

  it("waits for a person, and goes on with the answer from another engine", async () => {
    const { engine, again } = world();
    const agents = code({
      A: (x, ctx) =>
        ctx.question === undefined ? ctx.ask("which colour?") : { asked: ctx.question.prompt, answer: x },
    });
    const handle = await engine.start(request("t", topology("A"), agents));
    const waiting = await handle.outcome;
    expect(waiting.status).toBe("awaiting_user");
    const [question] = await engine.questions(handle.sessionId);
    expect(question).toMatchObject({ promptValue: "which colour?", node: "A" });
    await engine.close();
    const later = again().engine;
    expect(await later.questions()).toHaveLength(1);
    const outcome = await (await later.resume(handle.sessionId, { code: agents, userResponse: "blue" })).outcome;
    expect(outcome.finalResponse).toEqual({ asked: "which colour?", answer: "blue" });
    await later.close();
  });

  it("hands several answers out by question id, and refuses an ambiguous one", async () => {
    const { engine } = world();
    const ask = () => next.ask("?");
    const agents = code({
      S: (x) => x,
      A: (x, ctx) => (ctx.question ? x : ask()),
      B: (x, ctx) => (ctx.question ? x : ask()),
      J: (x) => x.map((one: { value: unknown }) => one.value),
    });
    const handle = await engine.start(request("t", topology("S -> A", "S -> B", "A -> J", "B -> J"), agents));
    expect((await handle.outcome).status).toBe("awaiting_user");
    const questions = await engine.questions(handle.sessionId);
    expect(questions).toHaveLength(2);
    await expect(engine.resume(handle.sessionId, { userResponse: "x" })).rejects.toMatchObject({
      code: "ORCH_AMBIGUOUS_ANSWER",
    });
    const answers = Object.fromEntries(questions.map((q) => [q.questionId, `for ${q.node}`]));
    const outcome = await (await engine.resume(handle.sessionId, { userResponse: answers })).outcome;
    expect(outcome.finalResponse).toEqual(["for A", "for B"]);
    await engine.close();
  });

  it("answers one question of a waiting session and stays waiting for the other", async () => {
    const { engine } = world();
    const agents = code({
      S: (x) => x,
      A: (x, ctx) => (ctx.question ? x : next.ask("a")),
      B: (x, ctx) => (ctx.question ? x : next.ask("b")),
      J: (x) => x.map((one: { value: unknown }) => one.value),
    });
    const handle = await engine.start(request("t", topology("S -> A", "S -> B", "A -> J", "B -> J"), agents));
    await handle.outcome;
    const [first, second] = await engine.questions(handle.sessionId);
    const halfway = await (await engine.resume(handle.sessionId, { answers: { [first!.questionId]: 1 } })).outcome;
    expect(halfway.status).toBe("awaiting_user");
    await engine.answer(handle.sessionId, second!.questionId, 2);
    for await (const event of engine.events(handle.sessionId, { untilSettled: true })) void event;
    expect((await engine.outcome(handle.sessionId)).finalResponse).toEqual([1, 2]);
    await expect(engine.answer(handle.sessionId, second!.questionId, 2)).rejects.toMatchObject({
      code: "ORCH_QUESTION_UNKNOWN",
    });
    await engine.close();
  });

  it("keeps a session across runs, refuses a second run at a time, and finds a run by its key", async () => {
    const { engine } = world();
    const seen: unknown[] = [];
    const agents = code({
      A: (x, ctx) => {
        seen.push(ctx.session.runs.map((one) => one.finalResponse));
        ctx.state.set("n", (ctx.state.get<number>("n") ?? 0) + 1);
        return `${x}${ctx.state.get<number>("n")}`;
      },
    });
    for (const task of ["x", "y", "z"]) await run(engine, task, topology("A"), agents, { sessionId: "one" });
    expect(seen).toEqual([[], ["x1"], ["x1", "y2"]]);
    const gate = deferred();
    const slow = code({
      A: async () => {
        await gate.promise;
        return "slow";
      },
    });
    const first = await engine.start(request("q", topology("A"), slow, { sessionId: "one", idempotencyKey: "k" }));
    await expect(engine.start(request("r", topology("A"), slow, { sessionId: "one" }))).rejects.toMatchObject({
      code: "ORCH_SESSION_BUSY",
    });
    const same = await engine.start(request("q", topology("A"), slow, { sessionId: "one", idempotencyKey: "k" }));
    expect(same.runId).toBe(first.runId);
    gate.resolve();
    expect((await same.outcome).finalResponse).toBe("slow");
    const after = await engine.start(request("q", topology("A"), slow, { sessionId: "one", idempotencyKey: "k" }));
    expect(after.runId).toBe(first.runId);
    expect((await after.outcome).finalResponse).toBe("slow");
    const anew = await run(engine, "n", topology("A"), agents, { sessionId: "one", fresh: true });
    expect(anew.finalResponse).toBe("n1");
    await engine.close();
  });

  it("makes a checkpoint, goes back to it, and forks from it without touching the original", async () => {
    const { engine } = world();
    const calls: string[] = [];
    const agents = code({
      A: () => {
        calls.push("A");
        return "a";
      },
      B: (x, ctx) => (ctx.question ? `${calls.push("B")}:${x}` : next.ask("ok?")),
      C: (x) => `${x}!`,
    });
    const handle = await engine.start(request("t", topology("A -> B -> C"), agents));
    await handle.outcome;
    const checkpointId = await engine.createCheckpoint(handle.sessionId, "before the answer");
    const first = await (await engine.resume(handle.sessionId, { userResponse: "yes" })).outcome;
    expect(first.finalResponse).toBe("2:yes!");

    const forkId = await engine.forkCheckpoint(checkpointId);
    const [asked] = await engine.questions(forkId);
    expect(asked?.promptValue).toBe("ok?");
    const fork = await (await engine.resume(forkId, { code: agents, userResponse: "fork" })).outcome;
    expect(fork.finalResponse).toBe("3:fork!");
    expect((await engine.outcome(handle.sessionId)).finalResponse).toBe("2:yes!");

    expect(await engine.restoreCheckpoint(checkpointId)).toBe(true);
    expect((await engine.getSession(handle.sessionId))?.status).toBe("paused");
    const again = await (await engine.resume(handle.sessionId, { userResponse: "no" })).outcome;
    expect(again.finalResponse).toBe("4:no!");
    expect(calls).toEqual(["A", "B", "B", "B"]);
    expect(await engine.listCheckpoints(handle.sessionId)).toMatchObject([{ checkpointId, name: "before the answer" }]);
    const diff = await engine.diff(handle.sessionId, forkId);
    expect(diff.equal).toBe(false);
    expect(diff.commonCommits).toBeGreaterThan(1);
    await expect(engine.restoreCheckpoint("cp_none")).rejects.toMatchObject({ code: "ORCH_CHECKPOINT_UNKNOWN" });
    await engine.close();
  });

  it("tells of a step in flight at a checkpoint under the name it has after a restore or in a fork", async () => {
    const { engine } = world();
    const [gate, reached] = [deferred(), deferred()];
    let calls = 0;
    const agents = code({
      A: async (x) => {
        if (calls++ === 0) reached.resolve();
        await gate.promise;
        return `${x}a`;
      },
      B: (x) => `${x}b`,
    });
    const { sessionId, outcome } = await engine.start(request("t", topology("A -> B"), agents));
    await reached.promise;
    const checkpointId = await engine.createCheckpoint(sessionId, "in flight");
    gate.resolve();
    await outcome;
    const forkId = await engine.forkCheckpoint(checkpointId);
    await engine.restoreCheckpoint(checkpointId);
    for (const id of [forkId, sessionId]) {
      const done = await (await engine.resume(id, { code: agents })).outcome;
      expect(done.finalResponse).toBe("tab");
      const told: RunEvent[] = [];
      for await (const event of engine.events(id, { untilNow: true })) told.push(event);
      const ends = told.filter(({ type }) => type === "step.succeeded");
      for (const { stepId } of ends as { stepId: string }[])
        expect(told.filter((event) => event.type === "step.started" && event.stepId === stepId)).toHaveLength(1);
      expect(done.trace.slice(-2).map(({ stepId, node }) => `${node} ${stepId}`)).toEqual(["A 1.1.1", "B 1.1.2"]);
    }
    expect(calls).toBe(3);
    await engine.close();
  });

  it("takes a session back also where it becomes live while the restore waits its turn", async () => {
    const { engine } = world();
    const agents = code({
      A: (x, ctx) => (ctx.question ? new Promise(() => undefined) : next.ask(`${x}?`)),
    });
    const { sessionId, outcome } = await engine.start(request("t", topology("A"), agents));
    await outcome;
    const checkpointId = await engine.createCheckpoint(sessionId, "asked");
    const resuming = engine.resume(sessionId, { code: agents, userResponse: "yes" });
    const restoring = engine.restoreCheckpoint(checkpointId);
    const handle = await resuming;
    expect(await restoring).toBe(true);
    expect((await handle.outcome).status).toBe("paused");
    expect((await engine.questions(sessionId)).map(({ promptValue }) => promptValue)).toEqual(["t?"]);
    await engine.close();
  });

  it("pauses, cancels and answers a session that is live in another engine on the same bus", async () => {
    const { engine, again, bus } = world();
    const other = again({ bus }).engine;
    const reached = deferred();
    const handle = await engine.start(
      request("t", topology("A"), {
        A: () => {
          reached.resolve();
          return new Promise(() => undefined);
        },
      }),
    );
    await reached.promise;
    expect(await other.cancel(handle.sessionId, "from afar")).toBe(true);
    const outcome = await handle.outcome;
    expect(outcome.status).toBe("cancelled");
    expect(outcome.error?.message).toContain("from afar");
    await other.close();
    await engine.close();
  });

  // Answers posted to the owner at one moment found the question open, all of them; one was taken, the others told nothing.
  it.each([
    ["tells who answered otherwise at the same moment, and takes the same answer twice", "answer"],
    ["tells who resumed with another answer at the same moment, and takes the same twice", "resume"],
  ] as const)("%s", async (_name, by) => {
    const { engine, again, bus } = world();
    const others = [again({ bus }).engine, again({ bus }).engine, again({ bus }).engine];
    const gate = deferred();
    const handle = await engine.start(
      request("t", topology("S -> Ask", "S -> Slow", "Ask -> J", "Slow -> J"), {
        S: (x) => x,
        Ask: (x, ctx) => (ctx.question === undefined ? ctx.ask("which?") : x),
        Slow: () => gate.promise.then(() => "slow"),
        J: (arrived) => arrived.map(({ value }: { value: string }) => value).join(),
      }),
    );
    const { sessionId } = handle;
    await expect.poll(async () => (await engine.questions(sessionId)).length).toBe(1);
    const { questionId } = (await engine.questions(sessionId))[0]!;
    const settled = await Promise.allSettled(
      ["tea", "milk", "tea"].map((value, i) => {
        const other = others[i]!;
        return by === "answer"
          ? other.answer(sessionId, questionId, value)
          : other.resume(sessionId, { answers: { [questionId]: value } });
      }),
    );
    gate.resolve();
    const { finalResponse } = await handle.outcome;
    const taken = finalResponse === "tea,slow" ? "tea" : "milk";
    expect(finalResponse).toBe(`${taken},slow`);
    expect(settled.map(({ status }) => status)).toEqual(
      taken === "tea" ? ["fulfilled", "rejected", "fulfilled"] : ["rejected", "fulfilled", "rejected"],
    );
    for (const one of settled)
      if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "ORCH_QUESTION_UNKNOWN" });
    for (const other of others) await other.close();
    await engine.close();
  });

  it("says why a run waits", async () => {
    const { engine } = world();
    const gate = deferred();
    const reached = deferred();
    const handle = await engine.start(
      request("t", topology("S -> A", "S -> B", "A -> J", "B -> J"), {
        S: (x) => x,
        A: (x) => x,
        B: async (x) => {
          reached.resolve();
          await gate.promise;
          return x;
        },
        J: (x) => x.length,
      }),
    );
    await reached.promise;
    await new Promise((resolve) => setImmediate(resolve));
    const why = await engine.why(handle.sessionId);
    expect(why.barriers).toMatchObject([{ node: "J", arrived: ["A"], waitsFor: [{ node: "B" }] }]);
    gate.resolve();
    expect((await handle.outcome).finalResponse).toBe(2);
    await engine.close();
  });

  it("refuses new runs while draining and lets the step in flight finish; the run goes on after a restart", async () => {
    const { engine, again } = world();
    const gate = deferred();
    const reached = deferred();
    const calls: string[] = [];
    const agents = code({
      A: async () => {
        calls.push("A");
        reached.resolve();
        await gate.promise;
        return "a";
      },
      B: (x) => {
        calls.push("B");
        return `${x}b`;
      },
    });
    const handle = await engine.start(request("t", topology("A -> B"), agents));
    await reached.promise;
    const drained = engine.drain({ timeoutMs: 5_000 });
    await expect(engine.start(request("t", topology("A"), agents))).rejects.toMatchObject({ code: "ORCH_DRAINING" });
    gate.resolve();
    await drained;
    await handle.outcome;
    await engine.close();
    await expect(engine.start(request("t", topology("A"), agents))).rejects.toMatchObject({ code: "ORCH_CLOSED" });
    const later = again().engine;
    const [recovered] = await later.recover({ code: () => agents });
    expect(recovered?.action).toBe("resumed");
    expect((await recovered!.handle!.outcome).finalResponse).toBe("ab");
    expect(calls).toEqual(["A", "B"]);
    await later.close();
  });

  it("refuses more sessions than it may hold, with a time to try again", async () => {
    const { engine } = world({ maxSessions: 1 });
    const handle = await engine.start(request("t", topology("A"), { A: () => new Promise(() => undefined) }));
    await expect(engine.start(request("t", topology("A"), { A: (x) => x }))).rejects.toMatchObject({
      code: "ORCH_OVERLOADED",
      details: { retryAfterMs: expect.any(Number) },
    });
    await engine.close();
    await expect(handle.outcome).rejects.toMatchObject({ code: "ORCH_CLOSED" });
  });

  // What one commit both asks for and stops was offered, and taken back: over a slow bus it was run for nothing.
  it("offers no step that the commit asking for it stops again", async () => {
    const { offered, ...here } = noting();
    const data = topology("S -> A", "S -> J", "A -> J");
    const quorum = data.nodes.map((node) => (node.name === "J" ? { ...node, convergencePolicy: { quorum: 1 } } : node));
    const outcome = await run(here.engine, "t", { ...data, nodes: quorum }, { S: (x) => x, A: (x) => x, J: (x) => x });
    expect(outcome.status).toBe("completed");
    expect(offered).toEqual(["S", "J"]);
    await here.engine.close();
  });

  it("offers no step in line once the run has ended", async () => {
    const { offered, ...here } = noting({ maxConcurrency: 1 });
    const agents = { S: (x: unknown) => x, A: () => next.final("enough"), B: (x: unknown) => x, C: (x: unknown) => x };
    const outcome = await run(here.engine, "t", topology("S -> A", "S -> B", "S -> C"), agents);
    expect(outcome.finalResponse).toBe("enough");
    expect(offered).toEqual(["S", "A"]);
    await here.engine.close();
  });

  // Both waited for the resumption, and then wrote to the log behind the back of the session that had become live.
  it("makes a checkpoint, and takes an answer, of a session that is just being resumed", async () => {
    const first = world();
    const agents = code({ A: (_x, ctx) => (ctx.question === undefined ? next.ask("well?") : `${String(_x)}!`) });
    const handle = await first.engine.start(request("t", topology("A"), agents));
    await handle.outcome;
    const questions = await first.engine.questions(handle.sessionId);
    await first.engine.close();

    const { engine } = first.again();
    const resumed = engine.resume(handle.sessionId, { code: agents });
    const checkpoint = engine.createCheckpoint(handle.sessionId, "meanwhile");
    const answered = engine.answer(handle.sessionId, questions[0]!.questionId, "yes");
    expect(await checkpoint).toMatch(/^cp_/);
    await answered;
    await (
      await resumed
    ).outcome;
    await expect.poll(async () => (await engine.getSession(handle.sessionId))?.status).not.toBe("awaiting_user");
    const outcome = await (await engine.resume(handle.sessionId, { code: agents }).catch(() => null))?.outcome;
    expect((outcome ?? (await engine.outcome(handle.sessionId))).finalResponse).toBe("yes!");
    await engine.close();
  });
});

function noting(more: Partial<EngineOptions> = {}) {
  const bus = createLocalBus({ clock: systemClock() });
  const offered: string[] = [];
  const { steps } = bus;
  const noted: StepQueue = {
    offer: (step) => {
      offered.push(step.agent);
      return steps.offer(step);
    },
    withdraw: (...args) => steps.withdraw(...args),
    serve: (options) => steps.serve(options),
    depth: (agent) => steps.depth(agent),
  };
  return { ...world({ ...more, bus: { ...bus, steps: noted } }), offered };
}
