// Architecture 5.4: frames, forks and barriers.

import { describe, expect, it } from "vitest";
import { why } from "../../src/actors/view.ts";
import { ask, final, invoke, parallel, play, type Play } from "./play.ts";

const boom = (): never => {
  throw new Error("boom");
};
const when = (from: string, to: string, condition: string) => ({ from, to, metadata: { condition } });
const fired = (run: Play) =>
  run.events.flatMap((e) => (e.type === "barrier.fired" ? [`${e.node}:${e.decision}:${e.arrived}`] : []));
const count = (run: Play, node: string): number => run.inputs(node).length;

/** Steps of the named nodes go last, in the order given. */
const last =
  (run: Play, ...slow: string[]) =>
  (ids: string[]): string => {
    const rank = (id: string): number => slow.indexOf(run.out.get(id)!.node);
    return ids.toSorted((a, b) => rank(a) - rank(b))[0]!;
  };

describe("a join", () => {
  const diamond = { nodes: ["F", "A", "B", "J"], edges: ["F -> A", "F -> B", "A -> J", "B -> J"] };

  it("waits for every branch that can still come and fires once, in fork order", () => {
    for (const slow of ["A", "B"]) {
      const run = play(diamond, { A: () => "a", B: () => "b", J: (x) => x });
      run.run(last(run, slow));
      expect(run.inputs("J")).toEqual([
        [
          { from: "A", value: "a" },
          { from: "B", value: "b" },
        ],
      ]);
    }
  });

  it("does not wait for a branch that went elsewhere", () => {
    const topology = {
      nodes: ["F", "A", "B", "J", "X"],
      edges: ["F -> A", "F -> B", when("A", "J", "join"), { from: "A", to: "X", else: true }, "B -> J"],
    };
    const run = play(topology, { A: () => "away", B: () => "b", J: (x) => x, X: () => "x" });
    run.run(last(run, "A"));
    expect(run.inputs("J")).toEqual([[{ from: "B", value: "b" }]]);
    expect(run.result).toEqual(["x", [{ from: "B", value: "b" }]]);
  });

  it("says whom it waits for", () => {
    const run = play(diamond, { A: () => "a" });
    run.step([...run.out.keys()][0]!);
    run.step([...run.out.keys()][0]!);
    const [barrier] = why(run.state).barriers;
    expect(barrier).toMatchObject({ node: "J", arrived: ["A"], waitsFor: [{ node: "B" }] });
  });

  it("of an edge straight from the fork counts as an arm", () => {
    const run = play(
      { nodes: ["F", "A", "J"], edges: ["F -> A", "F -> J", "A -> J"] },
      { F: () => "f", A: () => "a", J: (x) => x },
    ).run();
    expect(run.inputs("J")).toEqual([
      [
        { from: "A", value: "a" },
        { from: "F", value: "f" },
      ],
    ]);
  });

  it("is left out where the node says it never joins", () => {
    for (const off of [{ convergence: false }, { merge: true }]) {
      const run = play(
        { ...diamond, nodes: ["F", "A", "B", { name: "J", ...off }] },
        { A: () => "a", B: () => "b", J: (x) => `j${x}` },
      ).run();
      expect(run.result).toEqual(["ja", "jb"]);
    }
  });

  it("is left out everywhere when the run switches convergence off", () => {
    const run = play(
      diamond,
      { A: () => "a", B: () => "b", J: (x) => `j${x}` },
      { limits: { convergence: false } },
    ).run();
    expect(run.result).toEqual(["ja", "jb"]);
  });
});

describe("the cases the simpler rules get wrong", () => {
  it("the outermost owner joins: F->A, F->N, A->B, A->N, B->N runs N once", () => {
    const run = play(
      { nodes: ["F", "A", "N", "B"], edges: ["F -> A", "F -> N", "A -> B", "A -> N", "B -> N"] },
      { F: () => "f", A: () => "a", B: () => "b", N: (x) => x },
    ).run();
    expect(count(run, "N")).toBe(1);
    expect(run.inputs("N")[0]).toEqual([
      { from: "B", value: "b" },
      { from: "A", value: "a" },
      { from: "F", value: "f" },
    ]);
  });

  it("candidates come over back edges that stay: W loops through K and X before N joins", () => {
    let rounds = 0;
    const topology = {
      nodes: ["F", "W", "B", "K", "X", "N"],
      edges: [
        "F -> W",
        "F -> B",
        "W -> K",
        when("K", "N", "done"),
        { from: "K", to: "X", else: true },
        "X -> W",
        "B -> N",
      ],
    };
    const run = play(topology, { K: () => (++rounds < 3 ? "again" : "done"), B: () => "b", N: (x) => x }).run((ids) =>
      ids.at(-1)!,
    );
    expect(count(run, "N")).toBe(1);
    expect(run.inputs("N")[0]).toEqual([
      { from: "K", value: "done" },
      { from: "B", value: "b" },
    ]);
    expect(count(run, "W")).toBe(3);
  });

  it("two reviewers that loop back to one writer join before it writes again", () => {
    let drafts = 0;
    const topology = {
      nodes: ["W", "R1", "R2"],
      edges: ["W -> R1", "W -> R2", when("R1", "W", "redo"), when("R2", "W", "redo")],
      exitPoints: ["R1", "R2"],
    };
    const run = play(topology, {
      W: () => ++drafts,
      R1: (d) => (d < 3 ? "redo" : "ok1"),
      R2: (d) => (d < 3 ? "redo" : "ok2"),
    }).run();
    expect(drafts).toBe(3);
    expect(run.inputs("W")[1]).toEqual([
      { from: "R1", value: "redo" },
      { from: "R2", value: "redo" },
    ]);
    expect(run.result).toEqual(["ok1", "ok2"]);
  });

  it("one of two reviewers that loops back gets a list of one, and the other's verdict is delivered", () => {
    let drafts = 0;
    const topology = {
      nodes: ["W", "R1", "R2"],
      edges: ["W -> R1", "W -> R2", when("R1", "W", "redo"), when("R2", "W", "redo")],
      exitPoints: ["R1", "R2"],
    };
    const run = play(topology, {
      W: () => ++drafts,
      R1: (d) => (d < 2 ? "redo" : "ok1"),
      R2: (d) => `fine ${d}`,
    }).run();
    expect(run.inputs("W")[1]).toEqual([{ from: "R1", value: "redo" }]);
    expect(run.result).toEqual(["ok1", "fine 1", "fine 2"]);
  });

  it("a barrier that holds only failures is still waited for", () => {
    const topology = {
      nodes: [
        "F",
        "A",
        "B",
        "C",
        { name: "M", convergencePolicy: { minRatio: 0, onInsufficient: "proceed" } },
        { name: "N", convergencePolicy: { minRatio: 0.5 } },
      ],
      edges: ["F -> A", "F -> B", "F -> C", "A -> M", when("B", "M", "m"), "M -> N", "C -> N"],
    };
    const run = play(topology, {
      A: boom,
      B: () => "elsewhere",
      C: () => "c",
      M: (x) => `m${JSON.stringify(x)}`,
      N: (x) => x,
    });
    run.run(last(run, "B"));
    expect(count(run, "N")).toBe(1);
    expect(run.inputs("N")[0]).toEqual([
      { from: "M", value: "m[]" },
      { from: "C", value: "c" },
    ]);
  });

  it("a nested diamond in an outer loop joins anew each time round", () => {
    let laps = 0;
    const topology = {
      nodes: ["A", "B", "C", "D", "E"],
      edges: ["A -> B", "A -> C", "B -> D", "C -> D", when("D", "A", "again"), { from: "D", to: "E", else: true }],
    };
    const run = play(topology, {
      B: () => "b",
      C: () => "c",
      D: () => (++laps < 4 ? "again" : "end"),
      E: (x) => x,
    }).run();
    expect(laps).toBe(4);
    expect(fired(run)).toEqual(["D:fired:2", "D:fired:2", "D:fired:2", "D:fired:2"]);
    expect(run.result).toBe("end");
    expect(run.state.run!.instances.size).toBe(0);
  });

  it("one arm may be done again before the join", () => {
    let tries = 0;
    const topology = {
      nodes: ["F", "A", "B", "Check", "J"],
      edges: [
        "F -> A",
        "F -> B",
        "A -> Check",
        when("Check", "A", "redo"),
        { from: "Check", to: "J", else: true },
        "B -> J",
      ],
    };
    const run = play(topology, {
      A: () => ++tries,
      Check: (x) => (x < 3 ? "redo" : `ok${x}`),
      B: () => "b",
      J: (x) => x,
    }).run();
    expect(run.result).toEqual([
      { from: "Check", value: "ok3" },
      { from: "B", value: "b" },
    ]);
    expect(count(run, "J")).toBe(1);
  });

  it("[A,B] -> [C,D]: each of the second pair joins both of the first", () => {
    const topology = {
      nodes: ["S", "A", "B", "C", "D"],
      edges: ["S -> A", "S -> B", "A -> C", "A -> D", "B -> C", "B -> D"],
    };
    const run = play(topology, { A: () => "a", B: () => "b", C: (x) => x, D: (x) => x }).run((ids) => ids.at(-1)!);
    const both = [
      { from: "A", value: "a" },
      { from: "B", value: "b" },
    ];
    expect(run.inputs("C")).toEqual([both]);
    expect(run.inputs("D")).toEqual([both]);
  });

  it("two nested forks go straight to the outer rendezvous", () => {
    const topology = {
      nodes: ["F", "A", "B", "C", "D", "E", "G", "N"],
      edges: ["F -> A", "F -> B", "A -> C", "A -> D", "B -> E", "B -> G", "C -> N", "D -> N", "E -> N", "G -> N"],
    };
    const run = play(topology, { C: () => "c", D: () => "d", E: () => "e", G: () => "g", N: (x) => x }).run((ids) =>
      ids.at(-1)!,
    );
    expect(count(run, "N")).toBe(1);
    expect((run.inputs("N")[0] as { from: string }[]).map((i) => i.from)).toEqual(["C", "D", "E", "G"]);
  });
});

it("two barriers that could wait for each other over a loop do not: the first on forward paths decides", () => {
  // Q waited for what stood at P, which could come round by R and H; P waited for Q.
  const topology = {
    nodes: ["S", "H", "P", "Q", "R"],
    edges: ["S -> H", "H -> P", "H -> Q", "Q -> P", "P -> R", { from: "R", to: "H", maxVisits: 1 }],
    entryPoint: "S",
  };
  let calls = 0;
  const run = play(topology, {
    S: () => parallel(["H", 1], ["H", 2]),
    H: (x) => (++calls === 1 ? invoke("Q", x) : x),
  }).run();
  expect(["completed", "failed"]).toContain(run.state.status);
  expect(count(run, "Q")).toBeGreaterThan(0);
});

describe("a parallel command", () => {
  it("joins at the first node common to its elements, the same agent several times over", () => {
    const topology = { nodes: ["P", "W", "J"], edges: ["P -> W", "W -> J"] };
    const run = play(topology, { P: () => parallel(["W", 1], ["W", 2], ["W", 3]), W: (x) => x * 10, J: (x) => x }).run(
      (ids) => ids.at(-1)!,
    );
    expect(run.inputs("J")).toEqual([
      [
        { from: "W", value: 10 },
        { from: "W", value: 20 },
        { from: "W", value: 30 },
      ],
    ]);
  });

  it("of one element makes a list of one at the join", () => {
    const run = play(
      { nodes: ["P", "A", "B", "J"], edges: ["P -> A", "P -> B", "A -> J", "B -> J"] },
      { P: () => parallel(["A", 1]), A: (x) => x, J: (x) => x },
    ).run();
    expect(run.result).toEqual([{ from: "A", value: 1 }]);
  });
});

describe("failures", () => {
  const arms = (policy?: object) => ({
    nodes: ["F", "A", "B", "C", { name: "J", ...(policy ? { convergencePolicy: policy } : {}) }, "Z"],
    edges: ["F -> A", "F -> B", "F -> C", "A -> J", "B -> J", "C -> J", "J -> Z"],
  });

  it("fail the join by default, and the run names who was missing", () => {
    const run = play(arms(), { A: () => "a", B: boom, C: () => "c" }).run();
    expect(run.error).toMatchObject({ code: "ORCH_CONVERGENCE", node: "J", cause: { message: "boom", node: "B" } });
    expect(run.error?.message).toBe("2 of 3 branches arrived at J; missing: B");
    expect(run.state.run!.missing).toEqual(["B"]);
  });

  it("are borne up to minRatio, and the result is partial", () => {
    const run = play(arms({ minRatio: 0.6 }), { A: () => "a", B: boom, C: () => "c", J: (x) => x, Z: (x) => x }).run();
    expect(run.result).toEqual([
      { from: "A", value: "a" },
      { from: "C", value: "c" },
    ]);
    expect(run.state.run).toMatchObject({ partial: true, missing: ["B"] });
  });

  it("proceed with what arrived, with [] if nothing", () => {
    const run = play(arms({ onInsufficient: "proceed" }), {
      A: boom,
      B: boom,
      C: boom,
      J: (x) => ({ got: x }),
      Z: (x) => x,
    }).run();
    expect(run.result).toEqual({ got: [] });
  });

  it("may be put to a person, who lets it proceed, adds a value or gives up", () => {
    const start = () =>
      play(arms({ onInsufficient: "user" }), { A: () => "a", B: boom, C: () => "c", J: (x) => x, Z: (x) => x }).run();
    const proceed = start();
    expect(proceed.state.status).toBe("awaiting_user");
    proceed.answer("proceed");
    expect(proceed.run().result).toEqual([
      { from: "A", value: "a" },
      { from: "C", value: "c" },
    ]);
    const add = start();
    add.answer("by hand");
    expect(add.run().result).toContainEqual({ from: "User", value: "by hand" });
    const give = start();
    give.answer("fail");
    expect(give.state.status).toBe("failed");
  });

  it("of a whole inner join count as one at the outer", () => {
    const topology = {
      nodes: ["F", "A", "B", "A1", "A2", "M", { name: "J", convergencePolicy: { minRatio: 0.5 } }],
      edges: ["F -> A", "F -> B", "A -> A1", "A -> A2", "A1 -> M", "A2 -> M", "M -> J", "B -> J"],
    };
    const run = play(topology, { A1: boom, A2: boom, B: () => "b", J: (x) => x }).run();
    expect(run.result).toEqual([{ from: "B", value: "b" }]);
    expect(fired(run)).toEqual(["M:failed:0", "J:fired:1"]);
  });

  it("that an error edge carries on count as arrived", () => {
    const topology = {
      nodes: ["F", "A", "B", "H", "J"],
      edges: ["F -> A", "F -> B", "A -> J", "B -> J", { from: "B", to: "H", on: "error" }, "H -> J"],
    };
    const run = play(topology, { A: () => "a", B: boom, H: () => "handled", J: (x) => x }).run();
    expect(run.result).toEqual([
      { from: "A", value: "a" },
      { from: "H", value: "handled" },
    ]);
  });

  it("over an error edge straight into a rendezvous arrive as { from, error }", () => {
    const topology = {
      nodes: ["F", "A", "B", "J"],
      edges: ["F -> A", "F -> B", "A -> J", { from: "B", to: "J", on: "error" }],
    };
    const run = play(topology, { A: () => "a", B: boom, J: (x) => x }).run();
    expect(run.inputs("J")).toEqual([
      [
        { from: "A", value: "a" },
        { from: "B", error: "boom" },
      ],
    ]);
  });

  it("of a call fail its reply, then follow the caller's error edge", () => {
    const topology = { nodes: ["Hub", "X", "H"], edges: ["Hub <-> X", { from: "Hub", to: "H", on: "error" }] };
    const run = play(topology, { Hub: () => "w", X: boom, H: (_, o) => `handled ${o.error?.message}` }).run();
    expect(run.result).toBe("handled boom");
    const bare = play({ nodes: ["Hub", "X"], edges: ["Hub <-> X"] }, { X: boom }).run();
    expect(bare.error).toMatchObject({ message: "boom", node: "X" });
  });

  it("of calls are borne up to minRatio", () => {
    const topology = { nodes: [{ name: "Hub", parallelCalls: true }, "X", "Y"], edges: ["Hub <-> X", "Hub <-> Y"] };
    const run = play(
      topology,
      { Hub: (x, o) => (o.replies ? x : "w"), X: boom, Y: () => "y" },
      { limits: { convergencePolicy: { minRatio: 0.5 } } },
    ).run();
    expect(run.result).toEqual([{ from: "Y", value: "y" }]);
    expect(run.state.run).toMatchObject({ partial: true, missing: ["X"] });
  });

  it("one after another, those not yet called are not called once the outcome is certain", () => {
    const run = play({ nodes: ["Hub", "X", "Y"], edges: ["Hub <-> X", "Hub <-> Y"] }, { X: boom, Y: () => "y" }).run();
    expect(count(run, "Y")).toBe(0);
  });

  it("at the root fail the run; with minRatio what was delivered stands", () => {
    const topology = { nodes: ["F", "A", "B"], edges: ["F -> A", "F -> B"] };
    expect(play(topology, { A: () => "a", B: boom }).run().error).toMatchObject({ message: "boom", node: "B" });
    const partial = play(
      topology,
      { A: () => "a", B: boom },
      { limits: { convergencePolicy: { minRatio: 0.5 } } },
    ).run();
    expect(partial.result).toBe("a");
    expect(partial.state.run!.partial).toBe(true);
  });
});

describe("quorum and any", () => {
  it("tell of a join inside an arm that is called off with who had arrived there", () => {
    const run = play(
      {
        nodes: ["F", "A", "B", "C", "D", "J", { name: "N", convergencePolicy: { quorum: 1 } }],
        edges: ["F -> A", "F -> B", "A -> C", "A -> D", "C -> J", "D -> J", "J -> N", "B -> N"],
      },
      { N: (x) => x },
    );
    run.run(last(run, "F", "A", "C", "B", "D"));
    expect(fired(run)).toEqual(["N:fired:1", "J:cancelled:1"]);
  });

  const arms = (policy: object) => ({
    nodes: ["F", "A", "B", "C", { name: "J", convergencePolicy: policy }],
    edges: ["F -> A", "F -> B", "F -> C", "A -> J", "B -> J", "C -> J"],
  });

  it("decide as soon as they can and cancel those that could only come here", () => {
    const run = play(arms({ quorum: 2 }), { A: () => "a", B: () => "b", C: () => "c", J: (x) => x });
    run.run(last(run, "C"));
    expect(run.result).toEqual([
      { from: "A", value: "a" },
      { from: "B", value: "b" },
    ]);
    expect(count(run, "C")).toBe(0);
    expect(run.events.some((e) => e.type === "step.cancelled" && e.node === "C")).toBe(true);
  });

  it("leave alone one that may still go elsewhere, and its late arrival is an event that ends it", () => {
    const topology = {
      nodes: ["F", "A", "B", { name: "J", convergencePolicy: { quorum: 1 } }, "X"],
      edges: ["F -> A", "F -> B", "A -> J", when("B", "J", "join"), { from: "B", to: "X", else: true }],
    };
    const late = play(topology, { A: () => "a", B: () => "join", J: (x) => x });
    late.run(last(late, "J", "B"));
    expect(count(late, "J")).toBe(1);
    expect(late.events.some((e) => e.type === "barrier.arrived" && e.late === true)).toBe(true);
    const elsewhere = play(topology, { A: () => "a", B: () => "x", J: (x) => x, X: () => "x" });
    elsewhere.run(last(elsewhere, "B"));
    expect(count(elsewhere, "X")).toBe(1);
  });

  it("that can no longer be met are insufficient at once", () => {
    const run = play(arms({ quorum: 3 }), { A: boom, B: () => "b", C: () => "c" });
    run.run(last(run, "B", "C"));
    expect(run.calls.map((c) => c.node)).toEqual(["F", "A"]);
    expect(run.error).toMatchObject({
      code: "ORCH_CONVERGENCE",
      message: "J wants 3 of 3 branches, 0 arrived; failed: A; on the way: B, C",
    });
  });

  it("say how many they want, who arrived and who failed", () => {
    const failing = (policy: object): Play => {
      const run = play(arms(policy), { A: () => "a", B: boom, C: boom });
      run.run(last(run, "A"));
      return run;
    };
    expect(failing({ quorum: 2 }).error?.message).toBe(
      "J wants 2 of 3 branches, 0 arrived; failed: B, C; on the way: A",
    );
    const inOrder = play(arms({ quorum: 2 }), { A: () => "a", B: boom, C: boom });
    inOrder.run(last(inOrder, "B", "C"));
    expect(inOrder.error?.message).toBe("J wants 2 of 3 branches, 1 arrived (A); failed: B, C");
    expect(failing({ minRatio: 0.5 }).error?.message).toBe("J wants 50 % of 3 branches, 1 arrived (A); failed: B, C");
    const asking = play(arms({ quorum: 2, onInsufficient: "user" }), { A: () => "a", B: boom, C: boom });
    asking.run(last(asking, "B", "C"));
    expect(asking.state.run?.questions[0]?.prompt).toMatchObject({
      v: { message: "J wants 2 of 3 branches, 1 arrived (A); failed: B, C", missing: ["B", "C"] },
    });
    const elsewhere = play(
      {
        nodes: ["F", "A", "B", "X", { name: "J", convergencePolicy: { quorum: 2 } }],
        edges: ["F -> A", "F -> B", "A -> J", when("B", "J", "join"), { from: "B", to: "X", else: true }],
      },
      { A: () => "a", B: () => "x", X: () => "x" },
    );
    elsewhere.run();
    expect(elsewhere.error?.message).toBe("J wants 2 branches, 1 arrived (A); nobody else is left to come");
  });
});

describe("convergence timeouts", () => {
  const arms = (more: object) => ({
    nodes: ["F", "A", "B", { name: "J", ...more }],
    edges: ["F -> A", "F -> B", "A -> J", "B -> J"],
  });
  const upToTimeout = (more: object): Play => {
    const run = play(arms(more), { A: () => "a", B: () => "never", J: (x) => x });
    run.step([...run.out.keys()][0]!);
    run.step([...run.out.keys()][0]!);
    return run;
  };

  it("run from the first arrival", () => {
    const run = play(arms({ convergenceTimeoutMs: 50 }), {});
    run.step([...run.out.keys()][0]!);
    expect(run.timers.size).toBe(0);
    run.step([...run.out.keys()][0]!);
    expect([...run.timers.values()]).toEqual([run.at + 50]);
  });

  it("end what is missing as timed out, counted as failed", () => {
    const run = upToTimeout({ convergenceTimeoutMs: 50, convergencePolicy: { minRatio: 0.5 } });
    run.send({ type: "timer.fired", timerId: [...run.timers.keys()][0]! });
    expect(run.out.size).toBe(1);
    run.run();
    expect(run.result).toEqual([{ from: "A", value: "a" }]);
    expect(run.state.run).toMatchObject({ timedOut: ["B"], missing: ["B"], partial: true });
    expect(run.events.some((e) => e.type === "branch.ended" && e.status === "timed_out")).toBe(true);
  });

  it("fail the join by default", () => {
    const run = upToTimeout({ convergenceTimeoutMs: 50 });
    run.send({ type: "timer.fired", timerId: [...run.timers.keys()][0]! });
    expect(run.error?.code).toBe("ORCH_CONVERGENCE");
  });

  it("stand still while a branch that is missing waits for a person", () => {
    const run = play(arms({ convergenceTimeoutMs: 50 }), {
      A: () => "a",
      B: (x, o) => (o.question ? x : ask("?")),
      J: (x) => x,
    });
    run.step([...run.out.keys()][0]!);
    run.step([...run.out.keys()][0]!);
    const [timerId, due] = [...run.timers][0]!;
    run.step([...run.out.keys()][0]!);
    expect(run.timers.has(timerId)).toBe(false);
    run.at += 1_000;
    run.answer("b");
    expect(run.timers.get(timerId)).toBeGreaterThan(due + 999);
    expect(run.run().result).toEqual([
      { from: "A", value: "a" },
      { from: "B", value: "b" },
    ]);
  });
});

it("next.final in an arm cancels the barrier that waits", () => {
  const run = play(
    { nodes: ["F", "A", "B", "J"], edges: ["F -> A", "F -> B", "A -> J", "B -> J"] },
    { A: () => "a", B: () => final("b ends it") },
  ).run();
  expect(run.result).toBe("b ends it");
  expect(run.timers.size).toBe(0);
});
