import { describe, expect, it } from "vitest";
import { plan } from "./build.ts";

describe("back edges", () => {
  it("lead to a node that dominates their source", () => {
    const p = plan("A -> B, B -> C, C -> B?, C -> D else, D -> A?, D -> End else");
    expect(p.edges).toEqual([
      "A -> B flow",
      "B -> C flow",
      "C -> B flow natural",
      "C -> D flow",
      "D -> A flow natural",
      "D -> End exit",
    ]);
  });

  it("are natural although marked, when the target dominates the source all the same", () => {
    expect(plan("A -> B, B -> A back").edges[1]).toBe("B -> A flow natural");
  });

  it("are marked where the cycle has several entries", () => {
    expect(plan("S -> A, S -> B, A -> B, B -> A back").edges[3]).toBe("B -> A flow marked");
  });

  it("settle which node heads the loop: marking one edge makes others of the cycle natural", () => {
    const p = plan("S -> A, S -> C, A -> B, B -> C, C -> A back, B -> A");
    expect(p.edges.slice(3)).toEqual(["B -> C flow", "C -> A flow marked", "B -> A flow natural"]);
  });

  it("are told in the private region of a spoke by a root of its own", () => {
    const p = plan("Hub <-> S, S -> T, T -> S?, T -> End else");
    expect(p.edges[2]).toBe("T -> S flow natural");
  });

  it("are told in a spoke from the node that is called, wherever that is declared", () => {
    const p = plan("T -> S?, T -> End else, S -> T, Hub <-> S");
    expect([p.entry, p.edges[0]]).toEqual(["Hub", "T -> S flow natural"]);
  });

  it("are told in a part no run reaches from where it begins", () => {
    const p = plan("A -> B, Y -> X, X -> Y, W -> X", { entryPoint: "A" });
    expect(p.edges.slice(1)).toEqual(["Y -> X flow natural", "X -> Y flow", "W -> X flow"]);
  });

  it("keep their head in the main flow when a node of the loop is also called", () => {
    const p = plan("A -> B, B -> C, C -> B?, C -> D else, D <-> C");
    expect(p.edges[2]).toBe("C -> B flow natural");
  });

  it("may be errors, and the edge of a node to itself", () => {
    expect(plan("A -> B, B -> A error, B -> B?").edges.slice(1)).toEqual([
      "B -> A error natural",
      "B -> B flow natural",
    ]);
  });

  it("are found although nothing enters the cycle", () => {
    const p = plan("A -> B, X -> Y, Y -> X", { entryPoint: "A" });
    expect(p.edges.slice(1)).toEqual(["X -> Y flow", "Y -> X flow natural"]);
  });

  it("leave the instances of their head and of forks after it", () => {
    const p = plan("O -> H, O -> J, H -> F, F -> X, F -> Y, X -> N, Y -> N, N -> H?, N -> J else");
    expect([p.leaves("H", "H"), p.leaves("H", "F"), p.leaves("H", "O")]).toEqual([true, true, false]);
  });
});

describe("a fork owns an end", () => {
  it("where two arms meet, and not behind it", () => {
    const p = plan("F -> A, F -> B, A -> N, B -> N, N -> M");
    expect([p.owns("F", "N"), p.owns("F", "M"), p.owns("A", "N")]).toEqual([true, false, false]);
    expect(p.rendezvous).toEqual(["N"]);
  });

  it("also from outside, when an inner fork owns it too", () => {
    const p = plan("F -> A, F -> N, A -> B, A -> N, B -> N");
    expect([p.owns("F", "N"), p.owns("A", "N"), p.owns("F", "B")]).toEqual([true, true, false]);
  });

  it("at the return point of a loop head that several arms lead back to", () => {
    const p = plan("W -> R1, W -> R2, R1 -> W?, R2 -> W?, R1 -> End else, R2 -> End else");
    expect(p.rendezvous).toEqual(["W↩"]);
    expect(p.owns("W", "W↩")).toBe(true);
    expect(p.owns("W", "W")).toBe(false);
  });

  it("of nested diamonds each at its own join, and none of them at the loop around", () => {
    const p = plan("H -> F, F -> A, F -> B, A -> C, A -> D, C -> M, D -> M, M -> N, B -> N, N -> H?, N -> End else");
    expect(p.rendezvous).toEqual(["N", "M"].toSorted((a, b) => p.end(a) - p.end(b)));
    expect([p.owns("A", "M"), p.owns("F", "M"), p.owns("F", "N"), p.owns("A", "N")]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  it("of two nested forks straight to the outer join, both", () => {
    const p = plan("F -> A, F -> B, A -> C, A -> D, C -> N, D -> N, B -> N");
    expect([p.owns("F", "N"), p.owns("A", "N")]).toEqual([true, true]);
  });

  it("but not over a flow and an error edge to the same node, which are alternatives", () => {
    expect(plan("F -> N, F -> N error, N -> M").rendezvous).toEqual([]);
  });

  it("nor over an error edge that leads around to where the flow goes, at any depth", () => {
    const p = plan("F -> N, F -> H error, H -> N");
    expect([p.owns("F", "N"), p.rendezvous]).toEqual([false, []]);
    expect(plan("E -> F, F -> A, F -> H error, A -> N, H -> N").rendezvous).toEqual([]);
  });

  it("over flow edges alone, or error edges alone, beside the others", () => {
    const p = plan("F -> A, F -> B, F -> G error, F -> H error, A -> N, B -> N, G -> M, H -> M");
    expect([p.owns("F", "N"), p.owns("F", "M"), p.rendezvous]).toEqual([true, true, ["N", "M"]]);
  });

  it("at an outer fork, whose arm may come by its flow or by its error edge", () => {
    const p = plan("F -> A, F -> B, A -> N, A -> H error, H -> N, B -> N");
    expect([p.owns("F", "N"), p.owns("A", "N")]).toEqual([true, false]);
  });

  it("never at a node that does not converge or merges", () => {
    for (const node of [{ convergence: false }, { merge: true }]) {
      const p = plan("F -> A, F -> B, A -> N, B -> N", { node: { N: node } });
      expect([p.owns("F", "N"), p.ownsParallel("F", ["A", "B"], "N"), p.rendezvous]).toEqual([false, false, []]);
    }
  });

  it("never over a marked back edge", () => {
    const p = plan("S -> A, S -> B, A -> B, B -> A back, B -> End");
    expect(p.rendezvous).toEqual(["B"]);
    expect(p.owns("S", "A")).toBe(false);
  });
});

describe("the elements of a parallel command own an end", () => {
  it("at the first node common to them", () => {
    const p = plan("F -> A, F -> B, A -> C, B -> C, C -> D");
    expect([p.ownsParallel("F", ["A", "B"], "C"), p.ownsParallel("F", ["A", "B"], "D")]).toEqual([true, false]);
    expect(p.ownsParallel("F", ["A"], "C")).toBe(false);
  });

  it("at both common nodes of [A, B] -> [C, D]", () => {
    const p = plan("F -> A, F -> B, A -> C, A -> D, B -> C, B -> D, C -> N, D -> N");
    expect(["C", "D", "N"].map((end) => p.ownsParallel("F", ["A", "B"], end))).toEqual([true, true, true]);
    expect(["C", "D", "N"].map((end) => p.owns("F", end))).toEqual([true, true, true]);
  });

  it("behind one target named several times", () => {
    const p = plan("F -> A, A -> B, B -> C");
    expect([
      p.ownsParallel("F", ["A", "A"], "B"),
      p.ownsParallel("F", ["A", "A", "A"], "B"),
      p.ownsParallel("F", ["A", "A"], "C"),
    ]).toEqual([true, true, false]);
    expect(p.ownsParallel("F", ["A", "A"], "A")).toBe(false);
  });

  it("at a target that others lead to", () => {
    const p = plan("F -> A, F -> B, F -> N, A -> N, B -> N, N -> M");
    expect(p.ownsParallel("F", ["A", "B", "N"], "N")).toBe(true);
    expect(p.ownsParallel("F", ["A", "N"], "N")).toBe(false);
    expect(p.ownsParallel("F", ["A", "N"], "M")).toBe(true);
  });

  it("at the return point of the loop they all close", () => {
    const p = plan("W -> R, R -> W?, R -> End else");
    expect(p.ownsParallel("W", ["R", "R"], "W↩")).toBe(true);
  });
});

describe("a branch reaches an end", () => {
  it("over a back edge that stays in the instance", () => {
    const p = plan("F -> W, F -> B, W -> K, K -> N?, K -> X else, X -> W, B -> N");
    expect(p.edges[5]).toBe("X -> W flow natural");
    expect(p.reaches("F", "X", "N")).toBe(true);
    expect(p.reaches("F", "N", "N")).toBe(false);
  });

  it("but not over one that leaves it", () => {
    const p = plan("W -> R1, W -> R2, R1 -> W?, R2 -> W?, R1 -> N else, R2 -> N else");
    expect(p.reaches("W", "R1", "R2")).toBe(false);
    expect(p.reaches("W", "R1", "N")).toBe(true);
    expect(p.reaches("W", "R1", "W↩")).toBe(true);
  });

  it("from a return point as from its node, unless the return leaves the instance", () => {
    const p = plan("F -> W, F -> B, W -> X, W -> Y, X -> W?, Y -> W?, X -> N else, Y -> N else, B -> N");
    expect([p.reaches("F", "W↩", "W"), p.reaches("F", "W↩", "N"), p.reaches("F", "W↩", "W↩")]).toEqual([
      true,
      true,
      true,
    ]);
    expect([p.reaches("W", "W↩", "W"), p.reaches("W", "W↩", "N")]).toEqual([false, false]);
  });

  it("behind an invisible barrier", () => {
    const p = plan("F -> A, F -> B, F -> C, A -> M, B -> M?, M -> N, C -> N");
    expect(p.rendezvous).toEqual(["M", "N"].toSorted((a, b) => p.end(a) - p.end(b)));
    expect([p.before("M", "N"), p.reaches("F", "M", "N"), p.reaches("F", "B", "M")]).toEqual([true, true, true]);
  });

  it("after redoing one arm", () => {
    const p = plan("F -> A, F -> B, A -> A2, A2 -> A?, A2 -> N else, B -> N");
    expect([p.reaches("F", "A2", "A2"), p.reaches("F", "A2", "N"), p.reaches("F", "A2", "A↩")]).toEqual([
      true,
      true,
      true,
    ]);
  });
});

describe("a branch must reach an end", () => {
  it("when nothing else can happen before", () => {
    const p = plan("F -> A, F -> B, A -> C, C -> N, B -> N, N -> M");
    expect([p.mustReach("A", "N"), p.mustReach("F", "N"), p.mustReach("A", "M"), p.mustReach("N", "N")]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it.each([
    ["it may exit", "A -> N, A -> End?"],
    ["it may go elsewhere", "A -> N, A -> X?"],
    ["it may end undelivered", "A -> N?"],
    ["it may go back", "A -> N, A -> F?"],
    ["it may go back over a marked edge", "A -> N, F -> A2, A2 -> A, A -> A2 back"],
    ["its error leads elsewhere", "A -> N, A -> H error"],
  ])("unless %s", (_, arm) => {
    expect(plan(`F -> A, F -> B, B -> N, ${arm}`, { entryPoint: "F" }).mustReach("A", "N")).toBe(false);
  });

  it("over else, and over an error edge that leads there too", () => {
    expect(plan("F -> A, F -> B, B -> N, A -> N?, A -> X else, X -> N, A -> H error, H -> N").mustReach("A", "N")).toBe(
      true,
    );
  });

  it("also when the end is the return point it goes back to", () => {
    const p = plan("W -> R1, W -> R2, R1 -> W, R2 -> W");
    expect([p.mustReach("R1", "W↩"), p.mustReach("R1", "W")]).toEqual([true, false]);
  });
});

describe("a branch may fork before an end", () => {
  it("at a node with two ways there", () => {
    const p = plan("F -> A, F -> B, A -> C, A -> D, C -> N, D -> N, B -> N, B -> X?");
    expect([p.mayFork("A", "N"), p.mayFork("B", "N"), p.mayFork("C", "N"), p.mayFork("F", "C")]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it("after a back edge that stays in the instance asked about", () => {
    const p = plan("F -> H, F -> B, H -> X, H -> Y, X -> H?, X -> N else, Y -> N, B -> N");
    expect([p.mayFork("X", "N"), p.mayFork("X", "N", "F"), p.mayFork("X", "N", "H")]).toEqual([false, true, false]);
    expect([p.mayFork("H↩", "N", "F"), p.mayFork("H↩", "N", "H")]).toEqual([true, false]);
  });
});

describe("size", () => {
  it("joins a thousand arms", () => {
    const arms = Array.from({ length: 1000 }, (_, i) => `A -> B${i}, B${i} -> J`);
    const p = plan([...arms, "J -> End"].join(", "));
    expect(p.rendezvous).toEqual(["J"]);
    expect(p.owns("A", "J")).toBe(true);
    expect(p.ownsParallel("A", ["B1", "B999"], "J")).toBe(true);
    expect(p.reaches("A", "B500", "J")).toBe(true);
    expect(p.mustReach("B7", "J")).toBe(true);
  });

  it("follows a chain of three thousand nodes without exhausting the stack", () => {
    const chain = Array.from({ length: 3000 }, (_, i) => `N${i} -> N${i + 1}`);
    const p = plan([...chain, "N3000 -> N0?"].join(", "));
    expect(p.plan.edges.at(-1)?.back).toBe("natural");
    expect(p.before("N0", "N3000")).toBe(true);
  });
});
