import { describe, expect, it } from "vitest";
import { findPlanProblems } from "../../../src/topology/plan-problems.ts";
import { topology } from "./build.ts";

/** Each problem as `severity code path`. */
function problems(text: string, more: Parameters<typeof topology>[1] = {}, errorRouting = true): string[] {
  return findPlanProblems(topology(text, more), { errorRouting }).map((p) => `${p.severity} ${p.code} ${p.path}`);
}

describe("a sound topology has no problems", () => {
  it.each([
    ["pipeline", "A -> B, B -> C"],
    ["diamond", "A -> B, A -> C, B -> D, C -> D, D -> End"],
    ["hub", "Hub <-> S1, Hub <-> S2"],
    ["review loop", "P -> W, W -> R, R -> W?, R -> End else"],
    ["bounded loop", "P -> A, A -> B, B -> A max, B -> End"],
    ["user in and out", "User -> A, A -> User"],
    ["user as caller", "User <-> A"],
    ["asked on the way", "A -> User, User -> B"],
    ["error handler", "A -> B, A -> AErrorHandler, B -> End, AErrorHandler -> End"],
    ["mesh", "A <|> B, B <|> C, A <|> C"],
    ["conversation", "A <~> B, A -> End"],
    ["one agent", "A"],
  ])("%s", (_, text) => {
    expect(problems(text, text.includes("<|>") ? { entryPoint: "A" } : {})).toEqual([]);
  });
});

describe("the entry", () => {
  it("is ambiguous when several nodes have nothing leading into them", () => {
    const [problem] = findPlanProblems(topology("A -> B, C -> B"));
    expect(problem).toMatchObject({ code: "entry_ambiguous", severity: "error", path: "entryPoint" });
    expect(problem?.message).toContain("A, C");
    expect(problem?.hint).toContain("Start");
  });

  it("is missing when everything is led into", () => {
    expect(problems("A -> B?, B -> A, A -> End else")).toContain("error entry_missing entryPoint");
  });

  it("is refused when no such node exists, with what may have been meant", () => {
    const found = findPlanProblems(
      topology("Writer -> Editor", { entryPoint: "Writter", exitPoints: ["Editor", "Nobody"] }),
    );
    expect(found.map((p) => `${p.code} ${p.path}`)).toEqual(["unknown_node entryPoint", "unknown_node exitPoints[1]"]);
    expect(found[0]?.hint).toContain('"Writer"');
  });

  it("is refused when it hands the task to nobody", () => {
    expect(problems("A -> User", { entryPoint: "User" })).toContain("error entry_without_edges nodes[1]");
    expect(problems("A -> B, Start")).toContain("error entry_without_edges nodes[2]");
    expect(problems("A -> End", { entryPoint: "End" })).toContain("error entry_without_edges entryPoint");
  });
});

describe("a node that no run reaches", () => {
  it("is an error when nothing leads into it", () => {
    expect(problems("A -> B, C -> B", { entryPoint: "A" })).toEqual(["error unreachable_node nodes[2]"]);
  });

  it("is a warning when only what no run reaches leads into it", () => {
    expect(problems("A -> B, C -> D", { entryPoint: "A" })).toEqual([
      "error unreachable_node nodes[2]",
      "warning unreachable_node nodes[3]",
    ]);
  });

  it("is a warning when only its own kind of error edge leads there and error routing is off", () => {
    expect(problems("A -> B, A -> H error", {}, false)).toEqual(["warning unreachable_node nodes[2]"]);
    expect(problems("A -> B, A -> H error")).toEqual([]);
  });

  it("is none that a callee may call back, or that a peer may address", () => {
    expect(problems("A -> B, C <-> B, D <|> C", { entryPoint: "A" })).toEqual([]);
  });
});

describe("loops", () => {
  it("with several entries need a mark, and the hint names the edge", () => {
    const [problem] = findPlanProblems(topology("S -> A, S -> B, A -> B, B -> A?, B -> End else"));
    expect(problem).toMatchObject({ code: "unmarked_back_edge", severity: "error", path: "edges[3]" });
    expect(problem?.message).toContain("A -> B -> A");
    expect(problem?.hint).toContain("B -> A");
    expect(problem?.hint).toContain("back: true");
  });

  it("need one mark each, not one for every edge of the tangle", () => {
    expect(problems("S -> A, S -> C, A -> B, B -> C, C -> A?, B -> A?, C -> End else")).toEqual([
      "error unmarked_back_edge edges[4]",
    ]);
  });

  it("without a way out are warned of", () => {
    expect(problems("A -> B, B -> C, C -> B")).toEqual(["warning cycle_without_exit nodes[1]"]);
    expect(problems("A -> A", { entryPoint: "A" })).toEqual(["warning cycle_without_exit nodes[0]"]);
  });

  it.each([
    ["a condition", "A -> B, B -> A?"],
    ["a bound", "A -> B, B -> A max"],
    ["an exit", "A -> B?, B -> A, A -> End else"],
    ["an edge that leaves", "A -> B, B -> A, B -> C"],
  ])("with %s have a way out", (_, text) => {
    expect(problems(text, { entryPoint: "A" }).filter((p) => p.includes("cycle"))).toEqual([]);
  });

  it("marked inside an arm are warned of, since the join does not wait for them", () => {
    const inArm = "F -> A, F -> B, A -> X, A -> Y, X -> Y, Y -> X? back, Y -> N else, B -> N";
    expect(problems(inArm)).toEqual(["warning back_edge_in_arm edges[5]"]);
  });

  it("marked around the whole fork are fine", () => {
    expect(
      problems("S -> A, S -> B, A -> B, B -> F, F -> X, F -> Y, X -> N, Y -> N, N -> A? back, N -> End else"),
    ).toEqual([]);
  });
});

describe("edges that are never or always taken", () => {
  it("an exit beside an edge that always holds is shadowed", () => {
    expect(problems("A -> B, A -> End?, B -> End")).toEqual(["warning shadowed_exit edges[1]"]);
    expect(problems("A -> B", { exitPoints: ["A"] })).toEqual(["warning shadowed_exit exitPoints[0]"]);
  });

  it("an exit beside a condition, else or a bound is not", () => {
    expect(problems("A -> B?, A -> End, B -> End")).toEqual([]);
    expect(problems("A -> B else, A -> End?, B -> End")).toEqual([]);
    expect(problems("A -> B max, A -> End, B -> End")).toEqual([]);
  });

  it("else without a condition beside it is warned of", () => {
    expect(problems("A -> B else, A -> C, B -> End, C -> End")).toEqual(["warning else_without_condition edges[0]"]);
    expect(problems("A -> B else, A -> C?, B -> End, C -> End")).toEqual([]);
  });

  it("the flow edges of an agent that is only called are warned of", () => {
    expect(problems("Hub <-> S, S -> T, T -> End")).toEqual(["warning flow_after_reply edges[1]"]);
    expect(problems("A -> B, B -> C, C <-> B")).toEqual(["info flow_after_reply edges[1]"]);
  });

  it("an error edge to where nothing handles it is refused", () => {
    expect(problems("A -> B, A -> End error")).toEqual(["error edge_into_exit edges[1]"]);
    expect(problems("User -> A, A -> User, A -> User error")).toEqual(["error edge_into_exit edges[2]"]);
  });

  it.each(["A -> End notify", "A <~> End", "A <|> End"])("%s is refused, since nobody is there", (edge) => {
    expect(problems(`A -> B, ${edge}`)).toContain("error edge_into_exit edges[1]");
  });
});

it("names places as they were declared", () => {
  const data = topology("A -> B, C -> B, B -> End?, B -> D", { entryPoint: "A" });
  const found = findPlanProblems(data, { nodePaths: ["a", "b", "agents.C"], edgePaths: ["e0", "e1", "flows[7]"] });
  expect(found.map((p) => p.path)).toEqual(["agents.C", "flows[7]"]);
});
