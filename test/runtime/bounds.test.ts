import { describe, expect, it } from "vitest";
import { SimClock } from "../../src/testing/sim-clock.ts";
import { code, LIMITS, request, run, topology, world } from "./world.ts";

const FAN = topology(...["A", "B", "C", "D", "E"].flatMap((name) => [`S -> ${name}`, `${name} -> J`]));

/** Counts how many run at one time. */
function meter() {
  let now = 0;
  let most = 0;
  const step = async (x: unknown) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
    return x;
  };
  return { step, most: () => most };
}

describe("bounds", () => {
  it("hand out at most maxConcurrency steps of a run at a time", async () => {
    const { engine } = world();
    const { step, most } = meter();
    const outcome = await run(
      engine,
      1,
      FAN,
      code({ S: (x) => x, A: step, B: step, C: step, D: step, E: step, J: (x) => x.length }, { maxConcurrency: 2 }),
    );
    expect(outcome.finalResponse).toBe(5);
    expect(most()).toBe(2);
    await engine.close();
  });

  it("hold an agent to its own concurrency, and a cancelled run gives its places back", async () => {
    const { engine } = world();
    const { step, most } = meter();
    const shared = { name: "W", concurrency: 1, run: step };
    const names = {
      S: (x: unknown) => x,
      A: shared,
      B: shared,
      C: shared,
      D: shared,
      E: shared,
      J: (x: unknown[]) => x.length,
    };
    expect((await run(engine, 1, FAN, names)).finalResponse).toBe(5);
    expect(most()).toBe(1);
    const stuck = {
      name: "W",
      concurrency: 1,
      run: (x: unknown) => (x === "stuck" ? new Promise(() => undefined) : x),
    };
    const handle = await engine.start(request("stuck", topology("W"), { W: stuck }));
    for await (const event of engine.events(handle.sessionId)) if (event.type === "step.started") break;
    const waiting = await engine.start(request("free", topology("W"), { W: stuck }));
    await engine.cancel(handle.sessionId);
    expect((await waiting.outcome).finalResponse).toBe("free");
    await engine.close();
  });

  it("end a run whose live time is spent, with its reason", async () => {
    const { engine } = world();
    const outcome = await run(
      engine,
      1,
      topology("A"),
      { A: () => new Promise(() => undefined) },
      { limits: { ...LIMITS, durationMs: 30 } },
    );
    expect(outcome.status).toBe("failed");
    expect(outcome.state.run?.end?.terminalReason).toBe("duration");
    await engine.close();
  });

  it("release a join whose time is up, and drop what the slow branch brings later", async () => {
    const clock = new SimClock();
    const { engine } = world({ clock });
    const running = run(
      engine,
      1,
      topology("S -> A", "S -> B", "A -> J", "B -> J"),
      {
        S: (x) => x,
        A: () => "fast",
        B: () => new Promise(() => undefined),
        J: (x) => x.map((one: { value: unknown }) => one.value),
      },
      { limits: { ...LIMITS, convergenceTimeoutMs: 30, convergencePolicy: { onInsufficient: "proceed" } } },
    );
    await clock.advance(30);
    const outcome = await running;
    expect(outcome.finalResponse).toEqual(["fast"]);
    expect(outcome.state.run?.timedOut).toContain("B");
    await engine.close();
  });

  it("make a checkpoint every so many steps and keep the last few", async () => {
    const { engine } = world();
    const step = (x: number) => x + 1;
    const handle = await engine.start(
      request(
        0,
        topology("A -> B -> C -> D"),
        { A: step, B: step, C: step, D: step },
        { autoCheckpoint: { everySteps: 1, keep: 2 } },
      ),
    );
    expect((await handle.outcome).finalResponse).toBe(4);
    await expect.poll(async () => (await engine.listCheckpoints(handle.sessionId)).length).toBe(2);
    await engine.close();
  });
});
