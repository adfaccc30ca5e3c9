import { describe, expect, it } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { next, type AgentContext } from "../../src/runtime/agent.ts";
import { countingAgent, hang, scriptedAgent, SimClock, seededIds, seededRandom } from "../../src/testing/index.ts";

function context(signal: AbortSignal = new AbortController().signal): AgentContext {
  return {
    sessionId: "s",
    runId: "r",
    branchId: "b",
    stepId: "1.0.1",
    attempt: 1,
    node: "n",
    task: null,
    context: {},
    successors: [],
    place: { plainValue: "deliver", mayFinish: true, mayAsk: false },
    steeringMode: "auto",
    session: { runs: [], transcript: [] },
    signal,
    logger: silentLogger,
    idempotencyKey: "s/1.0.1",
    state: { get: () => undefined, set: () => undefined, delete: () => undefined, keys: () => [] },
    once: async (_key, fn) => fn(),
    emit: () => undefined,
    usage: () => undefined,
    report: () => undefined,
    reserve: () => Promise.resolve(() => undefined),
    ask: (prompt) => next.ask(prompt),
    heartbeat: () => undefined,
    run: () => Promise.reject(new Error("no nested runs here")),
  };
}

describe("scriptedAgent", () => {
  it("gives its replies in order: values, commands, functions of the input, errors", async () => {
    const command = next.invoke("other", 1);
    const agent = scriptedAgent("writer", [
      "draft",
      command,
      (input: unknown) => `about ${String(input)}`,
      new Error("out of ink"),
      undefined,
    ]);
    expect(agent.run("a", context())).toBe("draft");
    expect(agent.run("b", context())).toBe(command);
    expect(agent.run("c", context())).toBe("about c");
    expect(() => agent.run("d", context())).toThrow("out of ink");
    expect(agent.left).toBe(1);
    expect(agent.run("e", context())).toBe(undefined);
    expect(agent.left).toBe(0);
  });

  it("records the input and context of every call", () => {
    const agent = scriptedAgent("writer", [1, 2]);
    const ctx = context();
    agent.run({ topic: "sea" }, ctx);
    agent.run("again", ctx);
    expect(agent.calls.map((call) => call.input)).toEqual([{ topic: "sea" }, "again"]);
    expect(agent.calls[0]?.ctx).toBe(ctx);
  });

  it("fails an unexpected call for good, naming its index, and still records it", () => {
    const agent = scriptedAgent("writer", ["only"]);
    agent.run(1, context());
    let caught: unknown;
    try {
      agent.run(2, context());
    } catch (error) {
      caught = error;
    }
    expect(caught).toMatchObject({
      message: 'scripted agent "writer": call 1 (from 0) was not expected; the script has 1 reply',
      retryable: false,
    });
    expect(agent.calls.map((call) => call.input)).toEqual([1, 2]);
  });

  it("hangs until the step is aborted", async () => {
    const controller = new AbortController();
    const agent = scriptedAgent("slow", [hang, hang]);
    let ended = false;
    const hanging = Promise.resolve(agent.run(null, context(controller.signal))).finally(() => (ended = true));
    await new SimClock().advance(1_000_000);
    expect(ended).toBe(false);
    controller.abort(new Error("cancelled by the test"));
    await expect(hanging).rejects.toThrow("cancelled by the test");
    await expect(agent.run(null, context(controller.signal))).rejects.toThrow("cancelled by the test");
  });
});

describe("countingAgent", () => {
  it("counts calls and how many ran at one time, failed ones included", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const agent = countingAgent("worker", async (input) => {
      await gate;
      if (input === "bad") throw new Error("bad input");
      return input;
    });
    const calls = ["a", "bad", "c"].map((input) => agent.run(input, context()) as Promise<unknown>);
    expect([agent.calls, agent.running, agent.mostAtOnce]).toEqual([3, 3, 3]);
    release();
    expect((await Promise.allSettled(calls)).map((one) => one.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect([agent.running, agent.mostAtOnce]).toEqual([0, 3]);
    expect(await countingAgent("echo").run("same", context())).toBe("same");
  });
});

describe("seeds", () => {
  it("give the same ids and numbers again", async () => {
    const [one, two] = [seededIds(7), seededIds(7)];
    expect([one.next("a"), one.next("b")]).toEqual([two.next("a"), two.next("b")]);
    expect(seededIds(8).next("a")).not.toBe(seededIds(7).next("a"));
    expect(seededRandom(7).next()).toBe(seededRandom(7).next());
    const clock = new SimClock();
    const earlier = seededIds(9, clock).next("a");
    await clock.advance(1_000);
    expect(seededIds(1, clock).next("a") > earlier).toBe(true);
  });
});
