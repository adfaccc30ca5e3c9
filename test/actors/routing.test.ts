// Architecture 5.1: what follows from an outcome at a node. The numbers are those of the page.

import { describe, expect, it } from "vitest";
import { ask, final, invoke, parallel, play } from "./play.ts";

const echo = (name: string) => (input: unknown) =>
  `${name}(${typeof input === "string" ? input : JSON.stringify(input)})`;

describe("rule 0: a conversation not yet held opens", () => {
  it("passes the value to and fro until maxTurns, which is no failure, and its last value leaves the opener", () => {
    const run = play(
      { nodes: ["A", "B", "C"], edges: [{ from: "A", to: "B", pattern: "<~>", metadata: { maxTurns: 3 } }, "A -> C"] },
      { A: (x) => `${x}a`, B: (x) => `${x}b`, C: (x) => `[${x}]` },
      { task: "" },
    ).run();
    expect(run.calls.map((c) => c.node)).toEqual(["A", "B", "A", "B", "C"]);
    expect(run.result).toBe("[abab]");
    expect(run.state.run!.boundsHit).toEqual(["max_turns(A <~> B)"]);
  });

  it("ends at next.final, whose value leaves the opener by the further rules", () => {
    const run = play(
      { nodes: ["A", "B", "C"], edges: ["A <~> B", "A -> C"] },
      { A: () => "hello", B: () => final("agreed"), C: echo("C") },
    ).run();
    expect(run.calls.map((c) => c.node)).toEqual(["A", "B", "C"]);
    expect(run.result).toBe("C(agreed)");
    expect(run.state.run!.boundsHit).toEqual([]);
  });

  it("takes ten turns when nothing else is said", () => {
    const run = play({ nodes: ["A", "B"], edges: ["A <~> B"] }, { A: () => "a", B: () => "b" }).run();
    expect(run.calls.length).toBe(11);
  });

  it("holds several conversations in declared order", () => {
    const run = play(
      {
        nodes: ["A", "B", "C"],
        edges: [
          { from: "A", to: "B", pattern: "<~>", maxTurns: 1 },
          { from: "A", to: "C", pattern: "<~>", maxTurns: 1 },
        ],
      },
      { A: () => "a", B: (x) => `${x}b`, C: (x) => `${x}c` },
    ).run();
    expect(run.calls.map((c) => c.node)).toEqual(["A", "B", "C"]);
    expect(run.result).toBe("abc");
  });

  it("lets nobody leave the conversation by a move", () => {
    const run = play(
      { nodes: ["A", "B", "C"], edges: ["A <~> B", "A -> C"] },
      { A: () => "hi", B: () => invoke("C", 1) },
    ).run();
    expect(run.error?.code).toBe("ORCH_ROUTE_FORBIDDEN");
    expect(run.error?.message).toContain("allowed: A");
  });
});

describe("rule 1: calls", () => {
  it("calls one after another in declared order, each seeing the replies so far, then wakes with the list", () => {
    const seen: unknown[] = [];
    const run = play(
      { nodes: ["Hub", "X", "Y"], edges: ["Hub <-> X", "Hub <-> Y"] },
      {
        Hub: (input, offer) => (offer.replies === undefined ? "work" : `got ${JSON.stringify(input)}`),
        X: (x, offer) => (seen.push(offer.replies), `x:${x}`),
        Y: (y, offer) => (seen.push(offer.replies?.map((r) => r.from)), `y:${y}`),
      },
    ).run();
    expect(run.calls.map((c) => c.node)).toEqual(["Hub", "X", "Y", "Hub"]);
    expect(seen).toEqual([undefined, ["X"]]);
    expect(run.result).toBe('got [{"from":"X","value":"x:work"},{"from":"Y","value":"y:work"}]');
  });

  it("calls all at once where the node says parallelCalls, replies in declared order", () => {
    const run = play(
      { nodes: [{ name: "Hub", parallelCalls: true }, "X", "Y"], edges: ["Hub <-> X", "Hub <-> Y"] },
      { Hub: (input, offer) => (offer.replies === undefined ? "w" : input), X: () => 1, Y: () => 2 },
    );
    run.step([...run.out.keys()][0]!);
    expect([...run.out.values()].map((o) => o.node)).toEqual(["X", "Y"]);
    run.run((ids) => ids.at(-1)!);
    expect(run.result).toEqual([
      { from: "X", value: 1 },
      { from: "Y", value: 2 },
    ]);
  });

  it("does not call one of its own callers", () => {
    const run = play(
      { nodes: ["A", "B"], edges: ["A <-> B", { from: "B", to: "A", type: "query" }], entryPoint: "A" },
      { A: (x) => x, B: () => "b" },
    ).run();
    expect(run.calls.map((c) => c.node)).toEqual(["A", "B", "A"]);
    expect(run.state.status).toBe("completed");
  });

  it("treats a query as a call written with an arrow, and only where its condition holds", () => {
    const topology = {
      nodes: ["A", "B", "C"],
      edges: [{ from: "A", to: "B", type: "query", metadata: { condition: "ask" } }, "A -> C"],
    };
    const asked = play(topology, { A: (_, offer) => (offer.replies ? "done" : "ask"), B: () => "b" }).run();
    expect(asked.calls.map((c) => c.node)).toEqual(["A", "B", "A", "C"]);
    const plain = play(topology, { A: () => "no", B: () => "b" }).run();
    expect(plain.calls.map((c) => c.node)).toEqual(["A", "C"]);
  });

  it("over callees that call others in turn replies to each its own", () => {
    const run = play(
      { nodes: ["A", "B", "C"], edges: ["A <-> B", "B <-> C"] },
      {
        A: (x, o) => (o.replies ? x : "a"),
        B: (x, o) => (o.replies ? `b+${(x as { value: string }[])[0]!.value}` : "b"),
        C: () => "c",
      },
    ).run();
    expect(run.result).toEqual([{ from: "B", value: "b+c" }]);
  });
});

describe("rule 2: a node entered by a call replies", () => {
  it("and takes its own flow edges only by command", () => {
    const topology = { nodes: ["A", "B", "C"], edges: ["A <-> B", "B -> C"], entryPoint: "A" };
    const plain = play(topology, { A: (x) => x, B: () => "b" }).run();
    expect(plain.calls.map((c) => c.node)).toEqual(["A", "B", "A"]);
    const moved = play(topology, { A: (x) => x, B: () => invoke("C", "go"), C: (x) => `c:${x}` }).run();
    expect(moved.calls.map((c) => c.node)).toEqual(["A", "B", "C", "A"]);
    expect(moved.result).toEqual([{ from: "B", value: "c:go" }]);
  });

  it("over a reflexive edge it must answer: it may call others, not move on", () => {
    const topology = { nodes: ["A", "B", "C", "D"], edges: ["A <=> B", "B -> C", "B <-> D"], entryPoint: "A" };
    const moved = play(topology, { A: (x) => x, B: () => invoke("C", 1) }).run();
    expect(moved.error?.code).toBe("ORCH_ROUTE_FORBIDDEN");
    const called = play(topology, { A: (x) => x, B: (x, o) => (o.replies ? x : invoke("D", 1)), D: () => "d" }).run();
    expect(called.result).toEqual([{ from: "B", value: [{ from: "D", value: "d" }] }]);
  });

  it("lets the right side call back by command", () => {
    const run = play(
      { nodes: ["A", "B"], edges: ["A <-> B"] },
      {
        A: (x, o) => (o.replies ? x : x === "question" ? "answer" : "start"),
        B: (x, o) => (o.replies ? `b heard ${(x as { value: string }[])[0]!.value}` : invoke("A", "question")),
      },
    ).run();
    expect(run.result).toEqual([{ from: "B", value: "b heard answer" }]);
  });
});

describe("rule 3: flow edges that hold", () => {
  it("one: the branch moves", () => {
    const run = play(
      { nodes: ["A", "B", "C"], edges: ["A -> B -> C"] },
      { A: echo("A"), B: echo("B"), C: echo("C") },
      { task: "t" },
    ).run();
    expect(run.result).toBe("C(B(A(t)))");
    expect(run.events.filter((e) => e.type === "branch.started")).toHaveLength(1);
  });

  it("several: a fork, one child branch per edge", () => {
    const run = play({ nodes: ["A", "B", "C"], edges: ["A -> B", "A -> C"] }, { B: () => "b", C: () => "c" }).run(
      (ids) => ids.at(-1)!,
    );
    expect(run.result).toEqual(["b", "c"]);
    expect(run.events.filter((e) => e.type === "branch.started")).toHaveLength(3);
  });

  it("conditional edges that do not hold take no part, and else is taken when no sibling condition held", () => {
    const topology = {
      nodes: ["A", "B", "C"],
      edges: [
        { from: "A", to: "B", metadata: { condition: "yes" } },
        { from: "A", to: "C", else: true },
      ],
    };
    expect(play(topology, { A: () => "yes", B: () => "b", C: () => "c" }).run().result).toBe("b");
    expect(play(topology, { A: () => "no", B: () => "b", C: () => "c" }).run().result).toBe("c");
  });
});

describe("rule 4: exits", () => {
  it("are taken only when no flow edge held", () => {
    const topology = {
      nodes: ["A", "B", "User"],
      edges: [{ from: "A", to: "B", metadata: { condition: "more" } }, "A -> User", "B -> User"],
      entryPoint: "A",
    };
    expect(play(topology, { A: () => "more", B: () => "b" }).run().result).toBe("b");
    expect(play(topology, { A: () => "enough" }).run().result).toBe("enough");
  });

  it("an exit point has an implicit unconditional exit edge", () => {
    const topology = {
      nodes: ["A", "B"],
      edges: [
        { from: "A", to: "B", metadata: { condition: "more" } },
        { from: "B", to: "A", metadata: { condition: "again" } },
      ],
      entryPoint: "A",
      exitPoints: ["A", "B"],
    };
    expect(play(topology, { A: () => "stop" }).run().result).toBe("stop");
  });

  it("a call that ends with nothing delivered fails with ORCH_NO_ROUTE", () => {
    const topology = {
      nodes: ["A", "B", "C", "D"],
      edges: ["A <-> B", "B -> C", { from: "C", to: "D", metadata: { condition: "never" } }],
      entryPoint: "A",
    };
    const run = play(topology, { A: (x) => x, B: () => invoke("C", 1), C: () => "nothing" }).run();
    expect(run.error?.code).toBe("ORCH_NO_ROUTE");
    expect(run.error?.message).toContain("C (did not hold: never to D)");
  });
});

it("rule 5: otherwise the branch ends skipped, and a run with nothing delivered names nodes and conditions", () => {
  const run = play(
    { nodes: ["A", "B"], edges: [{ from: "A", to: "B", metadata: { condition: "never" } }] },
    { A: () => "x" },
  ).run();
  expect(run.events.some((e) => e.type === "branch.ended" && e.status === "skipped")).toBe(true);
  expect(run.error).toMatchObject({ code: "ORCH_NO_ROUTE", node: "A" });
  expect(run.error?.message).toContain("never to B");
  expect(run.state.run!.end!.terminalReason).toBe("no_route");
});

describe("commands", () => {
  it("next.invoke to one who is no successor fails and lists the allowed ones", () => {
    const run = play({ nodes: ["A", "B", "C"], edges: ["A -> B -> C"] }, { A: () => invoke("C", 1) }).run();
    expect(run.error?.code).toBe("ORCH_ROUTE_FORBIDDEN");
    expect(run.error?.message).toBe('A may not address "C" here; allowed: B');
  });

  it("next.invoke over a peer edge moves", () => {
    const run = play(
      { nodes: ["A", "B"], edges: ["A <|> B"], entryPoint: "A" },
      { A: () => invoke("B", "hi"), B: (x) => `b:${x}` },
    ).run();
    expect(run.result).toBe("b:hi");
  });

  it("next.invoke to an exit delivers", () => {
    const run = play(
      { nodes: ["A", "B", "End"], edges: ["A -> B", "B -> End", "A -> End"] },
      { A: () => invoke("End", "early") },
    ).run();
    expect(run.result).toBe("early");
  });

  it("next.parallel over flow edges forks, over call edges calls", () => {
    const flow = play(
      { nodes: ["A", "B", "C", "J"], edges: ["A -> B", "A -> C", "B -> J", "C -> J"] },
      { A: () => parallel(["B", 1], ["C", 2]), B: (x) => x, C: (x) => x },
    ).run();
    expect(flow.result).toEqual([
      { from: "B", value: 1 },
      { from: "C", value: 2 },
    ]);
    const call = play(
      { nodes: ["A", "B", "C"], edges: ["A <-> B", "A <-> C"] },
      { A: (x, o) => (o.replies ? x : parallel(["C", 2], ["B", 1], ["C", 3])), B: (x) => x, C: (x) => x },
    ).run();
    expect(call.result).toEqual([
      { from: "C", value: 2 },
      { from: "B", value: 1 },
      { from: "C", value: 3 },
    ]);
  });

  it("next.parallel that mixes calls and moves fails with ORCH_ROUTE_MIXED", () => {
    const run = play(
      { nodes: ["A", "B", "C"], edges: ["A <-> B", "A -> C"] },
      { A: () => parallel(["B", 1], ["C", 2]) },
    ).run();
    expect(run.error?.code).toBe("ORCH_ROUTE_MIXED");
  });

  it("an empty next.parallel wakes the caller with [] over call edges, otherwise fails", () => {
    const wakes = { A: (x: unknown, o: { replies?: unknown }) => (o.replies ? { got: x } : parallel()) };
    expect(play({ nodes: ["A", "B"], edges: ["A <-> B"] }, wakes).run().result).toEqual({ got: [] });
    const both = play({ nodes: ["A", "B", "C"], edges: ["A <-> B", "A -> C"] }, wakes).run();
    expect(both.result).toEqual({ got: [] });
    expect(play({ nodes: ["A", "C"], edges: ["A -> C"] }, { A: () => parallel() }).run().error?.code).toBe(
      "ORCH_EMPTY_PARALLEL",
    );
  });

  it("next.final ends the frame: its value is the only result and other branches are cancelled", () => {
    const run = play(
      { nodes: ["A", "B", "C"], edges: ["A -> B", "A -> C"] },
      { B: () => final("b"), C: () => "c" },
    ).run();
    expect(run.result).toBe("b");
    expect(run.calls.map((c) => c.node)).toEqual(["A", "B"]);
    expect(run.events.some((e) => e.type === "branch.ended" && e.status === "cancelled")).toBe(true);
  });

  it("next.final inside a call is the reply, and the caller goes on", () => {
    const run = play(
      { nodes: ["A", "B", "C", "D"], edges: ["A <-> B", "B -> C", "B -> D"], entryPoint: "A" },
      { A: (x) => x, B: () => parallel(["C", 1], ["D", 2]), C: () => final("first"), D: () => "never" },
    ).run();
    expect(run.result).toEqual([{ from: "B", value: "first" }]);
  });

  it("next.ask ends the step, and the answer starts the next one with the question beside it", () => {
    const run = play(
      { nodes: ["A"], edges: [] },
      { A: (x, o) => (o.question ? `${o.question.id.split("/")[0]}:${x}` : ask("sure?")) },
    ).run();
    expect(run.state.status).toBe("awaiting_user");
    run.answer("yes");
    expect(run.run().result).toBe("s:yes");
    expect(run.state.run!.steps).toBe(2);
  });
});

describe("inputs", () => {
  it("a rendezvous gets the list in fork order, even of one; other nodes the bare value; the entry the task", () => {
    const topology = {
      nodes: ["F", "A", "B", "J", "K"],
      edges: [
        { from: "F", to: "A", metadata: { condition: "a" } },
        { from: "F", to: "B", else: true },
        "A -> J",
        "B -> J",
        "J -> K",
      ],
    };
    const run = play(topology, { F: () => "a", A: () => "va", J: (x) => x, K: (x) => x }, { task: "the task" }).run();
    expect(run.inputs("F")).toEqual(["the task"]);
    expect(run.inputs("A")).toEqual(["a"]);
    expect(run.inputs("J")).toEqual([[{ from: "A", value: "va" }]]);
    expect(run.inputs("K")).toEqual([[{ from: "A", value: "va" }]]);
  });

  it("a handler of an error edge gets the failed step's input, and the error", () => {
    const seen: unknown[] = [];
    const run = play(
      { nodes: ["A", "B", "H"], edges: ["A -> B", { from: "B", to: "H", on: "error" }] },
      {
        A: () => "for b",
        B: () => {
          throw new Error("broken");
        },
        H: (x, o) => (seen.push(o.error?.message), `saved ${x}`),
      },
    ).run();
    expect(run.result).toBe("saved for b");
    expect(seen).toEqual(["broken"]);
  });
});

describe("notify edges", () => {
  it("fire beside the flow, join nothing, and the run ends after them", () => {
    const run = play(
      { nodes: ["A", "B", "Log"], edges: ["A -> B", { from: "A", to: "Log", type: "notify" }] },
      { A: () => "x", B: () => "b", Log: () => "logged" },
    );
    run.run((ids) => ids.find((id) => run.out.get(id)!.node !== "Log") ?? ids[0]!);
    expect(run.calls.map((c) => c.node)).toEqual(["A", "B", "Log"]);
    expect(run.result).toBe("b");
  });

  it("that fail are an event and nothing more", () => {
    const run = play(
      { nodes: ["A", "Log"], edges: [{ from: "A", to: "Log", type: "notify" }] },
      {
        A: () => "x",
        Log: () => {
          throw new Error("no log");
        },
      },
    ).run();
    expect(run.state.status).toBe("completed");
    expect(run.events.some((e) => e.type === "step.failed" && e.node === "Log")).toBe(true);
  });

  it("pass a rendezvous as a plain node", () => {
    const run = play(
      {
        nodes: ["F", "A", "B", "J", "N"],
        edges: ["F -> A", "F -> B", "A -> J", "B -> J", { from: "F", to: "N", type: "notify" }, "N -> J"],
      },
      { F: () => "x", A: () => "a", B: () => "b", N: () => "n", J: (x) => x },
    ).run();
    expect(run.inputs("J")).toContainEqual("n");
    expect(run.result).toEqual([
      { from: "A", value: "a" },
      { from: "B", value: "b" },
    ]);
  });
});
