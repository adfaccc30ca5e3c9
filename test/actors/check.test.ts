// What a check says of topologies whose runs are known.

import { describe, expect, it } from "vitest";
import {
  Edge,
  isOrchestraError,
  Node,
  PatternConfig,
  Topology,
  TopologyValidationError,
  type CheckReport,
  type TopologyInput,
} from "../../src/index.ts";

const when = (from: string, to: string, condition: string, more = {}) => ({ from, to, condition, ...more });

function check(topology: TopologyInput, options?: { maxStates?: number }): CheckReport {
  return Topology.from(topology).check(options);
}

/** `severity code: nodes`, information about failures left out. */
function told({ findings }: CheckReport): string[] {
  return findings.flatMap(({ code, severity, nodes }) =>
    code === "failure_ends_run" || (code === "join_can_fail" && severity === "info")
      ? []
      : [`${severity} ${code}: ${nodes.join(", ")}`],
  );
}

const diamond = { nodes: ["F", "A", "B", "J"], edges: ["F -> A", "F -> B", "A -> J", "B -> J"] };

describe("a topology that is sound", () => {
  it("is proved to end, to deliver, and in how many steps", () => {
    expect(check(diamond)).toMatchObject({
      ok: true,
      worstCaseSteps: 4,
      complete: true,
      proven: { alwaysEnds: true, alwaysDelivers: true },
    });
    expect(told(check(diamond))).toEqual([]);
  });

  it("counts the steps of handlers, of being woken and of turns", () => {
    const recovering = { nodes: ["A", "B", "H"], edges: ["A -> B", { from: "A", to: "H", on: "error" }, "H -> B"] };
    expect(check(recovering as TopologyInput).worstCaseSteps).toBe(3);
    expect(check({ nodes: ["H", "A", "B"], edges: ["H <-> A", "H <-> B"] }).worstCaseSteps).toBe(4);
    expect(
      check({ nodes: ["A", "B"], edges: [Edge("A", "B", { pattern: "conversation", maxTurns: 3 })] }),
    ).toMatchObject({
      worstCaseSteps: 4,
      complete: true,
    });
  });

  it.each([
    [
      "pipeline",
      PatternConfig.pipeline({
        stages: [
          { name: "one", agents: ["A"] },
          { name: "two", agents: ["B", "C"] },
        ],
        parallelWithinStage: true,
      }),
      3,
    ],
    ["hubAndSpoke", PatternConfig.hubAndSpoke({ hub: "H", spokes: ["A", "B", "C"] }), 5],
    [
      "hubAndSpoke, parallel",
      PatternConfig.hubAndSpoke({ hub: "H", spokes: ["A", "B", "C"], parallelSpokes: true }),
      5,
    ],
    ["hierarchical", PatternConfig.hierarchical({ tree: { CEO: ["A", "B"], A: ["C", "D"] } }), 7],
    ["star", PatternConfig.star({ center: "C", points: ["A", "B"] }), 4],
    ["ring", PatternConfig.ring({ agents: ["A", "B", "C"] }), 3],
    ["broadcast", PatternConfig.broadcast({ broadcaster: "A", receivers: ["B", "C", "D"] }), 4],
  ])("is what the pattern %s declares", (_name, pattern, steps) => {
    const report = check(pattern);
    expect(report).toMatchObject({ ok: true, complete: true, proven: { alwaysEnds: true, alwaysDelivers: true } });
    expect(report.worstCaseSteps).toBe(steps);
  });

  it("may have nodes that only commands lead to, and says so with a run", () => {
    const report = check(PatternConfig.mesh({ agents: ["A", "B", "C"] }));
    expect(told(report)).toEqual(["info unreached_node: B", "info unreached_node: C"]);
    expect(report.findings[0]!.counterexample).toEqual(["A is given the task", "A invokes B"]);
    expect(report.worstCaseSteps).toBe(1);
  });
});

describe("the cases the simpler rules of joins get wrong", () => {
  it("outermost owner: N runs once in every run", () => {
    const report = check({ nodes: ["F", "A", "N", "B"], edges: ["F -> A", "F -> N", "A -> B", "A -> N", "B -> N"] });
    expect(report).toMatchObject({ ok: true, worstCaseSteps: 4, proven: { alwaysEnds: true, alwaysDelivers: true } });
  });

  it("candidates over back edges: only the loop itself is unbounded", () => {
    const report = check({
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
    });
    expect(told(report)).toEqual(["info unbounded_steps: W, K, X"]);
    expect(report).toMatchObject({ ok: true, complete: true, worstCaseSteps: Infinity });
    expect(report.proven).toEqual({ alwaysEnds: false, alwaysDelivers: false });
  });

  it("two reviewers of one writer: bounded once their edges are", () => {
    const reviewed = (maxVisits?: number): TopologyInput => ({
      nodes: ["W", "R1", "R2"],
      edges: [
        "W -> R1",
        "W -> R2",
        ...["R1", "R2"].map((from) =>
          Edge(from, "W", { condition: "redo", ...(maxVisits !== undefined && { maxVisits }) }),
        ),
      ],
      exitPoints: ["R1", "R2"],
      entryPoint: "W",
    });
    expect(told(check(reviewed()))).toEqual(["info unbounded_steps: W, R1, R2"]);
    // Either may ask for two more rounds, and not in the same.
    expect(check(reviewed(2))).toMatchObject({ ok: true, worstCaseSteps: 15, proven: { alwaysDelivers: true } });
  });

  it("an invisible barrier with only failures: the failure arrives at the join behind it", () => {
    const report = check({
      nodes: ["F", "A", "B", "C", "M", "N"],
      edges: ["F -> A", "F -> B", "F -> C", "A -> M", when("B", "M", "on"), "M -> N", "C -> N"],
    });
    const joins = report.findings.filter(({ code }) => code === "join_can_fail").map(({ nodes }) => nodes[0]);
    expect(joins).toEqual(expect.arrayContaining(["M", "N"]));
    expect(report.ok).toBe(true);
  });

  it("an early insufficient quorum: a join short of its quorum by values alone is a warning", () => {
    const report = check({
      nodes: ["F", "A", "B", "C", Node("J", { convergencePolicy: { quorum: 3 } })],
      edges: [when("F", "A", "a"), when("F", "B", "b"), when("F", "C", "c"), "A -> J", "B -> J", "C -> J"],
    });
    const finding = report.findings.find(({ code }) => code === "join_can_fail")!;
    expect(finding).toMatchObject({ severity: "warning", nodes: ["J"] });
    expect(finding.counterexample.slice(1, 3)).toEqual([
      'F returns a value, where "a", "b" hold and "c" does not hold',
      "A returns a value; the join at J fails (1 arrived)",
    ]);
    expect(report.proven.alwaysDelivers).toBe(false);
  });

  it("nested diamond in an outer loop, bounded: every run ends and delivers", () => {
    const report = check({
      nodes: ["F", "A", "B", "C", "D", "J", "K", "L"],
      edges: [
        "F -> A",
        "F -> B",
        "A -> C",
        "A -> D",
        "C -> J",
        "D -> J",
        "J -> K",
        "B -> K",
        "K -> L",
        when("L", "F", "again", { maxVisits: 1 }),
      ],
      exitPoints: ["L"],
      entryPoint: "F",
    });
    expect(report).toMatchObject({ ok: true, worstCaseSteps: 16, proven: { alwaysEnds: true, alwaysDelivers: true } });
  });

  it("redo of one arm: the join still gets both", () => {
    const report = check({
      nodes: ["F", "A", "B", "T", "J"],
      edges: [
        "F -> A",
        "F -> B",
        "A -> T",
        when("T", "A", "redo", { maxVisits: 2 }),
        { from: "T", to: "J", else: true },
        "B -> J",
      ],
    });
    expect(told(report)).toEqual(["info loop_bound_hit: A, T"]);
    expect(report.proven).toEqual({ alwaysEnds: true, alwaysDelivers: true });
    expect(report.ok).toBe(true);
  });

  it("[A, B] -> [C, D], and two nested forks straight to the outer rendezvous", () => {
    const crossed = check({
      nodes: ["F", "A", "B", "C", "D"],
      edges: ["F -> A", "F -> B", "A -> C", "A -> D", "B -> C", "B -> D"],
    });
    expect(crossed).toMatchObject({ ok: true, worstCaseSteps: 5, proven: { alwaysDelivers: true } });
    const nested = check({
      nodes: ["F", "A", "B", "A1", "A2", "B1", "B2", "N"],
      edges: [
        "F -> A",
        "F -> B",
        "A -> A1",
        "A -> A2",
        "B -> B1",
        "B -> B2",
        "A1 -> N",
        "A2 -> N",
        "B1 -> N",
        "B2 -> N",
      ],
    });
    expect(nested).toMatchObject({ ok: true, worstCaseSteps: 8, proven: { alwaysDelivers: true } });
  });
});

describe("an error", () => {
  it("is a cycle without exit, told as one lap", () => {
    const report = check({ nodes: ["A", "B", "C"], edges: ["A -> B", "B -> C", "C -> B"] });
    expect(report.ok).toBe(false);
    expect(told(report)).toEqual(["error cycle_without_exit: B, C"]);
    expect(report.findings[0]!.counterexample).toEqual([
      "A is given the task",
      "A returns a value",
      "from here on it goes round:",
      "B returns a value",
      "C returns a value",
    ]);
  });

  it("is a join that can never be satisfied", () => {
    const report = check({ ...diamond, nodes: ["F", "A", "B", Node("J", { convergencePolicy: { quorum: 3 } })] });
    expect(report.ok).toBe(false);
    expect(told(report)).toContain("error join_never_satisfied: J");
    expect(report.findings[0]!.counterexample.slice(-2)).toEqual([
      "A returns a value; the join at J fails (1 arrived)",
      expect.stringMatching(/^the run fails with ORCH_CONVERGENCE/),
    ]);
  });

  it("is a loop that leads nowhere else, so that no run delivers", () => {
    const report = check({
      nodes: ["A", "B"],
      edges: ["A -> B", when("B", "A", "again", { maxVisits: 2 })],
      entryPoint: "A",
    });
    expect(report.findings[0]).toMatchObject({ code: "never_delivers", severity: "error", nodes: ["B"] });
    expect(told(report)).toContain("warning loop_bound_fails: B");
    expect(told(report)).toContain("info loop_bound_hit: A, B");
  });

  it("is not what needs a failure, a command, or a node none of whose conditions holds", () => {
    const report = check({
      nodes: ["V", "P", "Q", "Fin"],
      edges: [when("V", "P", "valid"), when("V", "Q", "invalid"), "P -> Fin", "Q -> Fin"],
    });
    expect(report.ok).toBe(true);
    expect(told(report)).toEqual(["info nothing_delivered: V"]);
    expect(report.findings[0]!.counterexample).toEqual([
      "V is given the task",
      'V returns a value, where "valid", "invalid" do not hold; a branch ends undelivered',
      expect.stringMatching(/^the run fails with ORCH_NO_ROUTE/),
    ]);
    expect(report.proven).toEqual({ alwaysEnds: true, alwaysDelivers: false });
  });
});

describe("a call", () => {
  it("can end with nobody to reply once its callee moves on by command", () => {
    const report = check({ nodes: ["H", "A", "B", "C"], edges: ["H <-> A", "A -> B", when("B", "C", "on")] });
    const finding = report.findings.find(({ code }) => code === "call_without_reply")!;
    expect(finding).toMatchObject({ severity: "info", nodes: ["B"] });
    expect(finding.counterexample.slice(0, 3)).toEqual(["H is given the task", "H returns a value", "A invokes B"]);
  });
});

describe("conditions", () => {
  it("that read the same hold together", () => {
    const report = check({
      nodes: ["A", "B", "C", Node("J", { convergencePolicy: { quorum: 2 } })],
      edges: [when("A", "B", "go"), when("A", "C", "go"), "B -> J", "C -> J"],
    });
    expect(told(report)).toEqual(["info nothing_delivered: A"]);
  });

  it("of a person's answer are free too, and so are those of the task", () => {
    const report = check({
      nodes: ["User", "A", "Boss", "B"],
      edges: [when("User", "A", "urgent"), "A -> Boss", when("Boss", "B", "yes")],
    });
    const lines = report.findings
      .filter(({ code }) => code === "nothing_delivered")
      .map((f) => f.counterexample.at(-2));
    expect(lines).toEqual(
      expect.arrayContaining(['User passes the task on, where "urgent" does not hold; a branch ends undelivered']),
    );
  });
});

describe("the order of steps", () => {
  it.each([
    ["A", "B"],
    ["B", "A"],
  ])("is free where a quorum decides early: %s or %s may come first", (...arms) => {
    const report = check({
      nodes: [
        "F",
        ...arms,
        "C",
        "D",
        ...["K", "J"].map((n, i) => Node(n, { convergencePolicy: { quorum: i === 0 ? 3 : 1 } })),
      ],
      edges: [...arms.map((arm) => `F -> ${arm}`), "A -> J", "B -> C", "B -> D", "C -> K", "D -> K", "K -> J"],
    });
    // Where A comes first the run delivers; only where B does is the join at K seen to fail by values alone.
    expect(told(report)).toContain("error join_never_satisfied: K");
    expect(told(report)).not.toContain("error never_delivers: K");
  });

  it("is free where branches share the bound of an edge: whoever comes second fails", () => {
    const report = check({
      nodes: ["F", "A", "M", "Y"],
      edges: [Edge("F", "M", { type: "notify" }), "F -> A", "A -> M", Edge("M", "Y", { maxVisits: 1 })],
    });
    // A notification that comes second fails without harm; the run's own branch does not.
    expect(told(report)).toEqual(["warning loop_bound_fails: M", "info loop_bound_hit: M, Y"]);
  });
});

describe("the bound", () => {
  const wide: TopologyInput = {
    nodes: ["F", ...Array.from({ length: 12 }, (_, i) => `A${i}`)],
    edges: Array.from({ length: 12 }, (_, i) => when("F", `A${i}`, `c${i}`)),
  };

  it("is kept, and what was not looked at is not proved", () => {
    const report = check(wide, { maxStates: 50 });
    expect(report).toMatchObject({
      explored: 50,
      complete: false,
      proven: { alwaysEnds: false, alwaysDelivers: false },
    });
    expect(report.worstCaseSteps).toBeLessThanOrEqual(13);
  });

  it("is not reached where nodes can change places", () => {
    const twelve = Array.from({ length: 12 }, (_, i) => `A${i}`);
    const report = check({
      nodes: ["F", ...twelve, Node("J", { convergencePolicy: { quorum: 6 } })],
      edges: twelve.flatMap((name) => [`F -> ${name}`, `${name} -> J`]),
    });
    expect(report).toMatchObject({ ok: true, complete: true, worstCaseSteps: 14 });
    expect(report.explored).toBeLessThan(500);
  });

  it("must be a whole number from 1", () => {
    for (const maxStates of [0, -1, 1.5, Number.NaN]) {
      const refused = (): unknown => check(diamond, { maxStates });
      expect(refused).toThrow(expect.toSatisfy((error) => isOrchestraError(error, "ORCH_BAD_OPTION")));
    }
  });
});

it("refuses what cannot run", () => {
  expect(() => check({ nodes: ["A"], edges: ["A -> B"] })).toThrow(TopologyValidationError);
});

it("says that a run can need more steps than its rule allows", () => {
  const report = check({ ...diamond, rules: ["max_steps(3)"] });
  expect(told(report)).toEqual(["warning steps_above_limit: "]);
});

it("draws the run it tells", () => {
  const report = check({ ...diamond, nodes: ["F", "A", "B", Node("J", { convergencePolicy: { quorum: 3 } })] });
  expect(report.findings[0]!.mermaid).toBe(
    [
      "flowchart TD",
      '  s0(["task"])',
      '  s1["1. F"]',
      '  s2["2. A"]',
      '  s4{"join at J"}',
      '  s5(("ORCH_CONVERGENCE"))',
      '  s3["B"]',
      "  s0 --> s1",
      "  s1 --> s2",
      "  s1 --> s3",
      "  s2 --> s4",
      "  s4 --> s5",
      "  classDef open stroke-dasharray:4",
      "  class s3 open",
      "  classDef failed stroke:#c00,stroke-width:2px",
      "  class s4,s5 failed",
      "",
    ].join("\n"),
  );
});
