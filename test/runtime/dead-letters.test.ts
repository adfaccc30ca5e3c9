// Steps that leave the queue without a result: the owner says so in the run, which goes on by its error policy.

import { describe, expect, it } from "vitest";
import type { Bus, Claim } from "../../src/bus/ports.ts";
import { code, request, topology, world } from "./world.ts";

/** A worker before all others, for the agent P. */
function poison(bus: Bus, run: (claim: Claim) => Promise<void>): void {
  bus.steps.serve({ agents: ["P"], slots: 1, run });
}

const AGENTS = code({ A: () => "a", P: () => "never called", H: (_input, ctx) => `handled ${ctx.error?.code}` });

describe("a step that became a dead letter", () => {
  it("fails its run with the reason, and how often it was handed out", async () => {
    const { engine, bus } = world();
    poison(bus, (claim) => claim.giveUp("its worker died each time"));
    const handle = await engine.start(request("t", topology("A -> P"), AGENTS, { sessionId: "s" }));
    const outcome = await handle.outcome;
    expect(outcome.status).toBe("failed");
    expect(outcome.error).toMatchObject({ code: "ORCH_STEP_POISON", node: "P" });
    expect(outcome.error?.message).toMatch(/"P" once .*its worker died each time/);
    await engine.close();
  });

  it("goes to the error handler where there is one", async () => {
    const { engine, bus } = world();
    poison(bus, (claim) => claim.giveUp("no"));
    const data = topology("A -> P", { edge: "P -> H", on: "error" });
    const handle = await engine.start(request("t", data, AGENTS));
    expect((await handle.outcome).finalResponse).toBe("handled ORCH_STEP_POISON");
    await engine.close();
  });

  it("has the result that came first all the same", async () => {
    const { engine, bus } = world();
    poison(bus, async (claim) => {
      const { sessionId, stepId, attempt } = claim.step;
      const body = { kind: "succeeded", outcome: { kind: "value", value: { v: "done before" } }, tookMs: 1 };
      await bus.results.put({ sessionId, stepId, attempt, body });
      await claim.giveUp("its acknowledgements were lost");
    });
    const handle = await engine.start(request("t", topology("A -> P"), AGENTS));
    expect((await handle.outcome).finalResponse).toBe("done before");
    await engine.close();
  });

  it("fails the run of an owner that comes later", async () => {
    const { engine, bus, again } = world();
    let reached: () => void = () => undefined;
    const claimed = new Promise<Claim>((resolve) => {
      poison(bus, (claim) => {
        resolve(claim);
        return new Promise((done) => (reached = done));
      });
    });
    await engine.start(request("t", topology("A -> P"), AGENTS, { sessionId: "s" }));
    const claim = await claimed;
    await engine.close();
    await claim.giveUp("nobody watched");
    reached();
    const later = again({ bus }).engine;
    const outcome = await (await later.resume("s", { code: AGENTS })).outcome;
    expect(outcome.error).toMatchObject({ code: "ORCH_STEP_POISON" });
    await later.close();
  });
});
