import { describe, expect, it } from "vitest";
import { compilePlan } from "../../../src/topology/compile.ts";
import { plan, topology } from "./build.ts";

describe("the entry", () => {
  it("is Start before anything else", () => {
    expect(plan("A -> B, Start -> B, B -> End", { entryPoint: "A" }).entry).toBe("Start");
  });

  it("is the declared entry point when there is no Start", () => {
    expect(plan("A -> B, B -> C", { entryPoint: "B" }).entry).toBe("B");
  });

  it("is the only agent without incoming edges", () => {
    expect(plan("B -> C, A -> B, C -> End").entry).toBe("A");
  });

  it("is found behind calls, which enter their right side only", () => {
    expect(plan("Hub <-> S1, Hub <=> S2, Hub <~> S3").entry).toBe("Hub");
  });

  it("is found although its errors and its exits lead back to it or to a person", () => {
    expect(plan("A -> B, B -> A error, B -> User").entry).toBe("A");
  });

  it("is not the node that handles the errors of others", () => {
    expect(plan("A -> B, A -> AErrorHandler, B -> H error").entry).toBe("A");
    expect(plan("A -> B, A -> AErrorHandler, B -> H error", {}, false).entry).toBe("A");
  });

  it("is found although a marked edge or an edge of its own leads back to it", () => {
    expect(plan("A -> B, B -> A back, B -> End").entry).toBe("A");
    expect(plan("A -> A?, A -> B else").entry).toBe("A");
  });

  it("is the left side where peers leave no other", () => {
    expect(plan("A <|> B").entry).toBe("A");
  });

  it("is the agent that flows to peers, not a peer that is addressed", () => {
    expect(plan("A -> B, C <|> B").entry).toBe("A");
  });

  it("is User where every agent is entered and User leads on", () => {
    expect(plan("User -> A, A -> B, B -> User").entry).toBe("User");
  });

  it("is an agent rather than a User that is asked on the way", () => {
    const asked = plan("A -> User, User -> B");
    expect(asked.entry).toBe("A");
    expect(asked.act("User")).toBe("ask");
  });

  it("is some node even where none is certain, so that compiling never throws", () => {
    expect(plan("A -> B, C -> B").entry).toBe("A");
    expect(plan("A -> B, B -> A").entry).toBe("A");
    expect(compilePlan({ v: 1, nodes: [], edges: [] }, { errorRouting: true }).nodes).toEqual([]);
  });
});

describe("the role of an edge", () => {
  it("is an exit into End, and into the User that is the entry", () => {
    const p = plan("User -> A, A -> B, B -> User, B -> End?");
    expect(p.edges).toEqual(["User -> A flow", "A -> B flow", "B -> User exit", "B -> End exit"]);
    expect([p.act("User"), p.act("A"), p.act("End")]).toEqual(["pass", "step", "exit"]);
  });

  it("is an exit into a User that leads nowhere, and a flow into one that answers", () => {
    expect(plan("A -> User").edges).toEqual(["A -> User exit"]);
    expect(plan("A -> User").act("User")).toBe("exit");
    expect(plan("A -> User, User -> B, B -> End").edges).toEqual(["A -> User flow", "User -> B flow", "B -> End exit"]);
  });

  it("is a call where an agent asks a person with a two-sided edge", () => {
    const p = plan("A <-> User, A -> B");
    expect(p.edges[0]).toBe("A -> User call");
    expect(p.act("User")).toBe("ask");
    expect(p.out("User")).toEqual(["callBack: A"]);
  });

  it("is a flow and an exit for User <-> A, since the value of A is the response", () => {
    const p = plan("User <-> A");
    expect(p.edges).toEqual(["User -> A flow", "A -> User exit"]);
    expect(p.plan.edges[1]?.data).toBe(p.plan.topology.edges[0]);
    expect(p.out("A")).toEqual(["exit: User"]);
  });

  it("is a call for two-sided and query edges, with the call back of two-sided ones only", () => {
    const p = plan("A <-> B, A <=> C, A -> D query");
    expect(p.out("A")).toEqual(["call: B C D"]);
    expect([p.out("B"), p.out("C"), p.out("D")]).toEqual([["callBack: A"], ["callBack: A"], []]);
  });

  it("lists conversations at the left side, and peers at both", () => {
    const p = plan("A <~> B, A <|> C, A -> D notify");
    expect(p.out("A")).toEqual(["conversation: B", "peers: C", "notify: D"]);
    expect([p.out("B"), p.out("C")]).toEqual([[], ["peers: A"]]);
  });

  it("is an implicit unconditional exit for an exit point", () => {
    const p = plan("A -> B, B -> C", { exitPoints: ["B"] });
    expect(p.edges[2]).toBe("B -> out exit");
    expect(p.plan.edges[2]).toMatchObject({ to: -1, conditional: false, data: { from: "B", to: "End" } });
  });

  it("is an error where marked, or where the target handles errors by role or by name", () => {
    const text = "A -> B, A -> H error, A -> BErrorHandler, A -> Rescue";
    const more = { node: { Rescue: { role: "error-handler" } } };
    expect(plan(text, more).out("A")).toEqual(["flow: B", "error: H BErrorHandler Rescue"]);
  });

  it("leaves marked errors untaken and makes none by name while error routing is off", () => {
    const p = plan("A -> B, A -> H error, A -> BErrorHandler", {}, false);
    expect(p.out("A")).toEqual(["flow: B BErrorHandler"]);
    expect(p.edges[1]).toBe("A -> H error");
    expect(p.before("A", "H")).toBe(false);
  });

  it("keeps conditions, else, and bounds", () => {
    const p = plan("A -> B?, A -> C else, A -> D max");
    expect(p.plan.edges.map((e) => [e.conditional, e.isElse, e.maxVisits, e.maxTurns])).toEqual([
      [true, false, false, 10],
      [false, true, false, 10],
      [false, false, 1, 10],
    ]);
  });
});

it("compiles the same data once for each setting of error routing", () => {
  const data = topology("A -> B");
  expect(compilePlan(data, { errorRouting: true })).toBe(compilePlan(data, { errorRouting: true }));
  expect(compilePlan(data, { errorRouting: false })).not.toBe(compilePlan(data, { errorRouting: true }));
});
