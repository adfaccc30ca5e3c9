// Architecture 5.2, 5.5 and 6: entries and people, bounds, pause, resume, restore, cancel.

import { describe, expect, it } from "vitest";
import { reduce } from "../../src/actors/reduce.ts";
import {
  edgesToJudge,
  encodeState,
  journalOf,
  openQuestions,
  outstandingEffects,
  stepOffer,
  successorsOf,
  why,
} from "../../src/actors/view.ts";
import type { Fact } from "../../src/actors/facts.ts";
import { ask, invoke, play, type Play } from "./play.ts";

const boom = (): never => {
  throw new Error("boom");
};
const first = (run: Play): string => [...run.out.keys()][0]!;
const ok = (stepId: string, value: unknown, more: object = {}): Fact => ({
  type: "step.succeeded",
  stepId,
  attempt: 1,
  outcome: { kind: "value", value: { v: value } },
  held: [],
  tookMs: 1,
  ...more,
});

describe("entries and people", () => {
  it("User as the entry passes the task on, is no step, and edges into it are exits", () => {
    const run = play(
      { nodes: ["User", "A"], edges: ["User -> A", "A -> User"] },
      { A: (x) => `a:${x}` },
      { task: "t" },
    ).run();
    expect(run.result).toBe("a:t");
    expect(run.state.run!.steps).toBe(1);
  });

  it("User or Start with several out-edges forks", () => {
    for (const entry of ["User", "Start"]) {
      const run = play(
        { nodes: [entry, "A", "B", "J"], edges: [`${entry} -> A`, `${entry} -> B`, "A -> J", "B -> J"] },
        { A: () => "a", B: () => "b", J: (x) => x },
      ).run();
      expect(run.result).toEqual([
        { from: "A", value: "a" },
        { from: "B", value: "b" },
      ]);
    }
  });

  it("User <-> A: the value of A is the response", () => {
    expect(play({ nodes: ["User", "A"], edges: ["User <-> A"] }, { A: () => "answer" }).run().result).toBe("answer");
  });

  it("an edge into a User with out-edges asks, and the answer follows them", () => {
    const run = play(
      { nodes: ["A", "User", "B"], edges: ["A -> User", "User -> B"] },
      { A: () => "question", B: (x) => `b:${x}` },
    ).run();
    expect(run.state.status).toBe("awaiting_user");
    expect(openQuestions(run.state)).toMatchObject([{ node: "User", prompt: { v: "question" }, kind: "node" }]);
    run.answer("yes");
    expect(run.run().result).toBe("b:yes");
  });

  it("conditions on the answer's edges are judged on the answer", () => {
    const topology = {
      nodes: ["A", "User", "B", "C"],
      edges: [
        "A -> User",
        { from: "User", to: "B", metadata: { condition: "approve" } },
        { from: "User", to: "C", else: true },
      ],
    };
    const run = play(topology, { A: () => "?", B: () => "b", C: () => "c" }).run();
    run.answer("approve");
    expect(run.run().result).toBe("b");
  });

  it("an agent may call a person", () => {
    const run = play(
      { nodes: ["A", "User"], edges: ["A <-> User"] },
      { A: (x, o) => (o.replies ? x : "what now?") },
    ).run();
    run.answer("go on");
    expect(run.run().result).toEqual([{ from: "User", value: "go on" }]);
  });

  it("a run waits for people only when nothing else can move", () => {
    const run = play(
      { nodes: ["S", "A", "B"], edges: ["S -> A", "S -> B"] },
      { A: (x, o) => (o.question ? x : ask("?")), B: () => "b" },
    );
    run.step(first(run));
    run.step(first(run));
    expect(run.state.status).toBe("running");
    run.run();
    expect(run.state.status).toBe("awaiting_user");
  });

  it("several questions are answered in any order, each once", () => {
    const run = play(
      { nodes: ["S", "A", "B"], edges: ["S -> A", "S -> B"] },
      { A: (x, o) => (o.question ? `a${x}` : ask("a?")), B: (x, o) => (o.question ? `b${x}` : ask("b?")) },
    ).run();
    const [a, b] = openQuestions(run.state);
    run.answer(2, b!.questionId);
    run.answer(1, a!.questionId);
    expect(() => run.answer(1, a!.questionId)).toThrow("is not open");
    expect(run.run().result).toEqual(["a1", "b2"]);
  });
});

describe("bounds", () => {
  const loop = { nodes: ["A", "B"], edges: ["A -> B", "B -> A"], entryPoint: "A" };

  it("maxSteps refuses the step too many, and the run fails by that name", () => {
    const run = play(loop, {}, { limits: { maxSteps: 5 } }).run();
    expect(run.calls).toHaveLength(5);
    expect(run.state.run!.end).toMatchObject({
      status: "failed",
      terminalReason: "max_steps",
      error: { code: "ORCH_MAX_STEPS" },
    });
    expect(run.events.some((e) => e.type === "rule.refused" && e.rule === "max_steps")).toBe(true);
    expect(run.state.run!.boundsHit).toEqual(["max_steps"]);
  });

  it("a run that needs exactly maxSteps completes", () => {
    expect(play({ nodes: ["A", "B"], edges: ["A -> B"] }, {}, { limits: { maxSteps: 2 } }).run().state.status).toBe(
      "completed",
    );
  });

  it("a refusal aborts the steps in flight", () => {
    const run = play(
      { nodes: ["F", "A", "B", "C"], edges: ["F -> A", "F -> B", "B -> C"] },
      {},
      { limits: { maxSteps: 3 } },
    );
    run.run((ids) => ids.at(-1)!);
    expect(run.calls.map((c) => c.node)).toEqual(["F", "B"]);
    expect(run.events.some((e) => e.type === "step.cancelled" && e.node === "A")).toBe(true);
  });

  it("tokens and cost refuse the next step once they are spent, and warn at 80 %", () => {
    const usage = { inputTokens: 50, outputTokens: 40, costUsd: 0.9, apiCalls: 1, nestedSteps: 0 };
    const tokens = play(loop, {}, { limits: { tokens: 100 } });
    tokens.send(ok(first(tokens), "x", { usage }));
    expect(tokens.events.filter((e) => e.type === "budget.warning")).toEqual([
      { type: "budget.warning", budget: "tokens", used: 90, limit: 100 },
    ]);
    tokens.send(ok("1.0.2", "x", { usage }));
    expect(tokens.state.run!.end!.terminalReason).toBe("tokens");
    const cost = play(loop, {}, { limits: { costUsd: 0.5 } });
    cost.send(ok(first(cost), "x", { usage }));
    expect(cost.state.run!.end!.terminalReason).toBe("cost");
  });

  it("duration ends the run", () => {
    const run = play(loop, {}, { limits: { durationMs: 1_000 } });
    expect(run.timers.get("duration")).toBe(1_001);
    run.send({ type: "timer.fired", timerId: "duration" });
    expect(run.state.run!.end!.terminalReason).toBe("duration");
    expect(run.timers.size).toBe(0);
  });

  it("steps of nested runs count", () => {
    const run = play(loop, {}, { limits: { maxSteps: 5 } });
    run.send(
      ok(first(run), "x", { usage: { inputTokens: 0, outputTokens: 0, costUsd: 0, apiCalls: 0, nestedSteps: 4 } }),
    );
    expect(run.state.run!.end!.terminalReason).toBe("max_steps");
  });

  it("maxVisits of an edge, once spent, lets siblings, else or exits take over", () => {
    const topology = {
      nodes: ["A", "B", "C"],
      edges: [
        "A -> B",
        { from: "B", to: "A", maxVisits: 2, metadata: { condition: "again" } },
        { from: "B", to: "C", else: true },
      ],
    };
    const run = play(topology, { B: () => "again", C: () => "c" }).run();
    expect(run.inputs("B")).toHaveLength(3);
    expect(run.result).toBe("c");
    expect(run.state.run!.boundsHit).toEqual(["B -> A"]);
  });

  it("with nothing else the branch fails with ORCH_LOOP_BOUND", () => {
    const run = play(
      { nodes: ["A", "B"], edges: ["A -> B", { from: "B", to: "A", maxVisits: 1 }], entryPoint: "A" },
      {},
    ).run();
    expect(run.error?.code).toBe("ORCH_LOOP_BOUND");
    expect(run.state.run!.end!.terminalReason).toBe("loop_bound");
  });

  it("max_agents makes steps wait in line, not fail", () => {
    const run = play(
      { nodes: ["F", "A", "B", "C"], edges: ["F -> A", "F -> B", "F -> C"] },
      { A: () => "a", B: () => "b", C: () => "c" },
      { limits: { maxAgents: 2 } },
    );
    run.step(first(run));
    expect(run.out.size).toBe(2);
    expect(
      why(run.state)
        .steps.filter((s) => s.waiting)
        .map((s) => s.node),
    ).toEqual(["C"]);
    run.step(first(run));
    expect(run.out.size).toBe(2);
    expect(run.run().result).toEqual(["a", "b", "c"]);
  });

  it("branchTimeoutMs ends a branch as timed out, never the root branch", () => {
    const run = play({ nodes: ["F", "A", "B"], edges: ["F -> A", "F -> B"] }, {}, { limits: { branchTimeoutMs: 100 } });
    expect(run.timers.size).toBe(0);
    run.step(first(run));
    expect(run.timers.size).toBe(2);
    run.send({ type: "timer.fired", timerId: [...run.timers.keys()][0]! });
    expect(run.events.some((e) => e.type === "branch.ended" && e.status === "timed_out")).toBe(true);
    run.run();
    expect(run.error?.code).toBe("ORCH_TIMEOUT");
  });
});

describe("retries", () => {
  const failing = (retryAtMs?: number): Fact => ({
    type: "step.failed",
    stepId: "1.0.1",
    attempt: 1,
    class: "transient",
    error: { code: "ORCH_AGENT_FAILED", message: "net" },
    held: [],
    tookMs: 1,
    ...(retryAtMs ? { retryAtMs } : {}),
  });

  it("are the same step, offered again not before its time, and count once", () => {
    const run = play({ nodes: ["A"], edges: [] }, { A: () => "a" });
    run.send(failing(500));
    expect(run.out.get("1.0.1")).toMatchObject({ attempt: 2, notBeforeMs: 500 });
    expect(run.send(ok("1.0.1", "stale"))).toContain("attempt 1");
    expect(run.run().result).toBe("a");
    expect(run.state.run!.steps).toBe(1);
  });

  it("that are spent fail the branch", () => {
    const run = play({ nodes: ["A"], edges: [] }, {});
    run.send(failing());
    expect(run.error).toMatchObject({ message: "net", node: "A" });
  });
});

describe("error routing", () => {
  const handled = { nodes: ["Main", "MainErrorHandler"], edges: ["Main -> MainErrorHandler"] };

  it("a node named …ErrorHandler handles by convention", () => {
    expect(play(handled, { Main: boom, MainErrorHandler: () => "saved" }).run().result).toBe("saved");
    expect(play(handled, { Main: () => "fine", MainErrorHandler: () => "saved" }).run().result).toBe("fine");
  });

  it("off, such a node is a plain successor and errors fail the branch", () => {
    const limits = { errorRouting: false };
    expect(play(handled, { Main: () => "fine", MainErrorHandler: (x) => `next ${x}` }, { limits }).run().result).toBe(
      "next fine",
    );
    const marked = { nodes: ["A", "H"], edges: [{ from: "A", to: "H", on: "error" }] };
    expect(play(marked, { A: boom }, { limits }).run().error?.message).toBe("boom");
  });
});

describe("pause and resume", () => {
  const fork = { nodes: ["F", "A", "B", "J"], edges: ["F -> A", "F -> B", "A -> J", "B -> J"] };
  const paused = (inFlight: "finish" | "abort"): Play => {
    const run = play(fork, { A: () => "a", B: () => "b", J: (x) => x });
    run.step(first(run));
    run.send({ type: "paused", inFlight, reason: "lunch" });
    return run;
  };

  it("lets steps in flight finish: recorded, not followed", () => {
    const run = paused("finish");
    run.run();
    expect(run.state.status).toBe("paused");
    expect(run.inputs("J")).toEqual([]);
    expect(outstandingEffects(run.state)).toEqual([]);
    run.send({ type: "resumed", shiftMs: 0 });
    expect(run.calls.filter((c) => c.node === "A")).toHaveLength(1);
    expect(run.run().result).toEqual([
      { from: "A", value: "a" },
      { from: "B", value: "b" },
    ]);
  });

  it("or aborts them, to run again on resume", () => {
    const run = paused("abort");
    expect(run.out.size).toBe(0);
    expect(run.send({ type: "paused", inFlight: "finish" })).toBe("the run is paused");
    run.send({ type: "resumed", shiftMs: 0 });
    expect([...run.out.keys()]).toEqual(["1.0.2", "1.0.3"]);
    expect(run.run().state.status).toBe("completed");
  });

  it("takes a second result for the same step for what it is", () => {
    const run = paused("finish");
    expect(run.send(ok("1.0.2", "a"))).toBeUndefined();
    expect(run.send(ok("1.0.2", "a again"))).toContain("has a result");
  });

  it("moves every open deadline by the time it stood still", () => {
    const run = play(fork, { A: () => "a", B: () => "b" });
    run.step(first(run));
    run.step(first(run));
    const [timerId, due] = [...run.timers][0]!;
    run.send({ type: "paused", inFlight: "finish" });
    expect(run.timers.size).toBe(0);
    run.send({ type: "resumed", shiftMs: 5_000 });
    expect(run.timers.get(timerId)).toBe(due + 5_000);
  });

  it("takes an answer given during the pause", () => {
    const run = play({ nodes: ["A"], edges: [] }, { A: (x, o) => (o.question ? x : ask("?")) }).run();
    run.send({ type: "paused", inFlight: "finish" });
    run.answer("early");
    expect(run.state.status).toBe("paused");
    run.send({ type: "resumed", shiftMs: 0 });
    expect(run.run().result).toBe("early");
  });
});

describe("restore", () => {
  it("stands paused where the checkpoint stood, and old results answer nothing", () => {
    const run = play({ nodes: ["A", "B"], edges: ["A -> B"] }, { A: () => "a", B: (x) => `b:${x}` });
    run.step(first(run));
    const saved = encodeState(run.state);
    run.run();
    expect(run.state.status).toBe("completed");
    run.send({ type: "restored", checkpointId: "cp", fromN: 2, state: structuredClone(saved) });
    expect(run.state).toMatchObject({ status: "paused", generation: 1 });
    run.send({ type: "resumed", shiftMs: 0 });
    expect([...run.out.keys()]).toEqual(["1.1.2"]);
    expect(run.send(ok("1.0.2", "old"))).toContain("another run or generation");
    expect(run.run().result).toBe("b:a");
  });

  it("gives open questions new ids", () => {
    const run = play({ nodes: ["A"], edges: [] }, { A: (x, o) => (o.question ? x : ask("?")) }).run();
    const before = openQuestions(run.state)[0]!.questionId;
    run.send({ type: "restored", checkpointId: "cp", fromN: 2, state: structuredClone(encodeState(run.state)) });
    run.send({ type: "resumed", shiftMs: 0 });
    const after = openQuestions(run.state)[0]!.questionId;
    expect(after).not.toBe(before);
    expect(() => run.answer("x", before)).toThrow("not open");
    run.answer("y", after);
    expect(run.run().result).toBe("y");
  });

  it("into another session carries the state over under that session's name", () => {
    const run = play({ nodes: ["A"], edges: [] }, { A: (x, o) => (o.question ? x : ask("?")) }).run();
    const { state } = reduce(
      { ...run.state, sessionId: "other", run: null, status: "idle" },
      { type: "restored", checkpointId: "cp", fromN: 2, state: structuredClone(encodeState(run.state)) },
      99,
    );
    expect(state.sessionId).toBe("other");
    expect(openQuestions(state)[0]!.questionId.startsWith("other/")).toBe(true);
  });
});

describe("cancel", () => {
  it("ends everything at once, and late results are refused", () => {
    const run = play({ nodes: ["F", "A", "B"], edges: ["F -> A", "F -> B"] }, {});
    run.step(first(run));
    run.send({ type: "cancelled", reason: "enough" });
    expect(run.state.status).toBe("cancelled");
    expect(run.out.size).toBe(0);
    expect(run.send(ok("1.0.2", "late"))).toBe("the run has ended cancelled");
    expect(run.error).toMatchObject({ code: "ORCH_CANCELLED", message: "the run was cancelled: enough" });
  });
});

describe("the journal", () => {
  const entry = (key: string, stepId = "1.0.1"): Fact => ({ type: "journaled", stepId, key, value: { v: 42 } });

  it("keeps the first record of a key, over retries, until the step ends", () => {
    const run = play({ nodes: ["A"], edges: [] }, {});
    run.send(entry("pay"));
    expect(run.send(entry("pay"))).toContain("has a record");
    run.send({
      type: "step.failed",
      stepId: "1.0.1",
      attempt: 1,
      class: "transient",
      error: { code: "X", message: "m" },
      held: [],
      tookMs: 1,
      retryAtMs: 9,
    });
    expect(journalOf(run.state, "1.0.1")).toEqual([["pay", { v: 42 }]]);
    run.run();
    expect(run.send(entry("more"))).toContain("ended");
  });

  it("made ahead by the target of a stream edge is found by its own step", () => {
    const run = play({ nodes: ["A", "B"], edges: [{ from: "A", to: "B", type: "stream" }] }, {});
    run.send(entry("look", "1.0.1>B"));
    expect(journalOf(run.state, "1.0.1>B")).toEqual([["look", { v: 42 }]]);
    run.step(first(run));
    expect(run.out.get("1.0.2")).toMatchObject({ streamedFrom: "1.0.1" });
    expect(journalOf(run.state, "1.0.2")).toEqual([["look", { v: 42 }]]);
    run.send(entry("again", "1.0.1>B"));
    expect(journalOf(run.state, "1.0.1>B").toSorted()).toEqual([
      ["again", { v: 42 }],
      ["look", { v: 42 }],
    ]);
  });
});

describe("questions of nested runs", () => {
  it("hold the step, belong to the run, and its step runs again with all answers", () => {
    const run = play({ nodes: ["A"], edges: [] }, { A: (_, o) => Object.values(o.answers ?? {}) });
    run.send({
      type: "step.suspended",
      stepId: "1.0.1",
      attempt: 1,
      questions: [
        { questionId: "n/q1", prompt: { v: "?" }, sessionId: "n" },
        { questionId: "n/q2", prompt: { v: "??" }, sessionId: "n" },
      ],
    });
    run.out.clear();
    expect(run.state.status).toBe("awaiting_user");
    run.answer(1, "n/q1");
    expect(run.out.size).toBe(0);
    run.answer(2, "n/q2");
    expect(run.out.get("1.0.1")?.attempt).toBe(1);
    expect(run.run().result).toEqual([{ v: 1 }, { v: 2 }]);
    expect(run.state.run!.steps).toBe(1);
  });
});

describe("views", () => {
  it("tell an agent whom it may address, and how", () => {
    const run = play(
      { nodes: ["A", "B", "C", "D", "End"], edges: ["A -> B", "A <-> C", "A <|> D", "A -> End"], entryPoint: "A" },
      {},
    );
    expect(successorsOf(run.state, first(run))).toEqual([
      { agent: "C", how: "call" },
      { agent: "B", how: "flow" },
      { agent: "End", how: "exit" },
      { agent: "D", how: "peer" },
    ]);
    expect(stepOffer(run.state, "1.0.9")).toBeUndefined();
  });

  it("name the conditions to judge, in a conversation those of its opener too", () => {
    const run = play(
      {
        nodes: ["A", "B", "C"],
        edges: [
          { from: "A", to: "B", pattern: "<~>", maxTurns: 1 },
          { from: "A", to: "C", metadata: { condition: "go" } },
        ],
      },
      { A: () => "hi" },
    );
    run.step(first(run));
    expect(edgesToJudge(run.state, { stepId: first(run) }, "value")).toHaveLength(1);
    expect(run.run().state.status).toBe("failed");
  });

  it("a refused command leaves the run able to take its error edge", () => {
    const run = play(
      { nodes: ["A", "H", "Z"], edges: [{ from: "A", to: "H", on: "error" }, "H -> Z"] },
      { A: () => invoke("Nobody", 1), H: (_, o) => o.error?.code },
    ).run();
    expect(run.result).toBe("ORCH_ROUTE_FORBIDDEN");
  });
});
