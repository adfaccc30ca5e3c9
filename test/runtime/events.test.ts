import { describe, expect, it } from "vitest";
import type { RunEvent } from "../../src/runtime/engine-api.ts";
import { memoryStorage } from "../../src/state/memory-store.ts";
import { code, deferred, LIMITS, request, run, topology, world } from "./world.ts";

async function all(events: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const list: RunEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

describe("events of a session", () => {
  it("are the same live, replayed, and replayed by another engine", async () => {
    const { engine, again } = world();
    const gate = deferred();
    const handle = await engine.start(
      request("t", topology("S -> A", "S -> B", "A -> J", "B -> J"), {
        S: async (x) => {
          await gate.promise;
          return x;
        },
        A: (x) => x,
        B: (x) => x,
        J: (x) => x.length,
      }),
    );
    const live = all(engine.events(handle.sessionId, { untilSettled: true }));
    gate.resolve();
    await handle.outcome;
    const seen = await live;
    expect(seen[0]).toMatchObject({ type: "run.started", task: "t" });
    expect(seen.at(-1)).toMatchObject({ type: "run.completed", value: 2 });
    expect(seen.map((event) => event.seq)).toEqual(
      [...new Set(seen.map((event) => event.seq))].toSorted((a, b) => a - b),
    );
    expect(await all(engine.events(handle.sessionId, { untilSettled: true }))).toEqual(seen);
    await engine.close();
    const later = again().engine;
    expect(await all(later.events(handle.sessionId, { untilSettled: true }))).toEqual(seen);
    await later.close();
  });

  it("go on after any cursor, without a gap or a duplicate", async () => {
    const { engine } = world();
    const handle = await engine.start(request("t", topology("A -> B -> C"), { A: (x) => x, B: (x) => x, C: (x) => x }));
    await handle.outcome;
    const whole = await all(engine.events(handle.sessionId, { untilSettled: true }));
    for (const [i, { seq }] of whole.entries()) {
      expect(await all(engine.events(handle.sessionId, { after: seq, untilSettled: true }))).toEqual(
        whole.slice(i + 1),
      );
    }
    await engine.close();
  });

  it("reach a reader that sleeps through more than its buffer holds: it reads on from the log", async () => {
    const { engine } = world();
    const loop = topology({ edge: "A -> A", condition: "more" }, { edge: "A -> B", else: true });
    const handle = await engine.start(
      request(
        0,
        loop,
        {
          A: (x: { n: number } | number) => {
            const n = typeof x === "number" ? 1 : x.n + 1;
            return { n, status: n < 900 ? "more" : "done" };
          },
          B: (x) => x.n,
        },
        { limits: { ...LIMITS, maxSteps: 2_000 } },
      ),
    );
    const seen: RunEvent[] = [];
    for await (const event of engine.events(handle.sessionId, { untilSettled: true })) {
      if (seen.length === 5) await handle.outcome;
      seen.push(event);
    }
    expect(seen).toEqual(await all(engine.events(handle.sessionId, { untilSettled: true })));
    expect(seen.filter((event) => event.type === "step.succeeded")).toHaveLength(901);
    await engine.close();
  });

  it("carry chunks live, under the number of the event before, and never in a replay", async () => {
    const { engine } = world();
    const gate = deferred();
    const handle = await engine.start(
      request("t", topology("A"), {
        A: async (_x, ctx) => {
          await gate.promise;
          ctx.emit({ token: "he" });
          ctx.emit("llo");
          return "hello";
        },
      }),
    );
    const live = all(engine.events(handle.sessionId, { untilSettled: true }));
    for await (const event of engine.events(handle.sessionId)) if (event.type === "step.started") break;
    await new Promise((resolve) => setImmediate(resolve));
    gate.resolve();
    const seen = await live;
    expect(seen.flatMap((event) => (event.type === "step.chunk" ? [event.chunk] : []))).toEqual([
      { token: "he" },
      "llo",
    ]);
    expect(
      (await all(engine.events(handle.sessionId, { untilSettled: true }))).some((event) => event.type === "step.chunk"),
    ).toBe(false);
    await engine.close();
  });

  // The log shows a commit to its readers before the session hears that it is written.
  it("never carry a chunk after the end of its step, however late a commit is acknowledged", async () => {
    const store = memoryStorage();
    const [emits, written, acknowledged] = [deferred(), deferred(), deferred()];
    const append = store.append.bind(store);
    store.append = async (asked) => {
      const answer = await append(asked);
      if (!asked.commit.facts.some(({ type }) => type === "step.succeeded")) return answer;
      written.resolve();
      await acknowledged.promise;
      return answer;
    };
    const read = store.read.bind(store);
    store.read = async function* (...asked) {
      await written.promise;
      yield* read(...asked);
    };
    const { engine } = world({ store });
    const handle = await engine.start(
      request("t", topology("A -> B"), {
        A: async (_x, ctx) => {
          await emits.promise;
          ctx.emit("late");
          return "a";
        },
        B: (x) => x,
      }),
    );
    const seen: string[] = [];
    let dropped = 0;
    const reading = (async () => {
      for await (const event of engine.events(handle.sessionId, { untilSettled: true })) {
        seen.push(event.type);
        dropped += event.dropped ?? 0;
        if (event.type === "step.succeeded") setImmediate(acknowledged.resolve);
      }
    })();
    await new Promise((resolve) => setImmediate(resolve));
    emits.resolve();
    await reading;
    expect(seen.slice(seen.indexOf("step.succeeded"))).not.toContain("step.chunk");
    expect([seen.at(-1), dropped]).toEqual(["run.completed", 1]);
    await engine.close();
  });

  it("say how many chunks a burst cost a reader that had no room for them", async () => {
    // A full buffer was emptied as a whole and nobody was told.
    const { engine } = world();
    const burst = 10_000;
    const gate = deferred();
    const handle = await engine.start(
      request("t", topology("A"), {
        A: async (_x, ctx) => {
          await gate.promise;
          for (let i = 0; i < burst; i++) ctx.emit(i);
          await new Promise((resolve) => setImmediate(resolve));
          ctx.emit("last");
          return "done";
        },
      }),
    );
    const reading = all(engine.events(handle.sessionId, { untilSettled: true }));
    await new Promise((resolve) => setImmediate(resolve));
    gate.resolve();
    const events = await reading;
    const chunks = events.flatMap((event) => (event.type === "step.chunk" ? [event] : []));
    expect(chunks.at(-1)?.chunk).toBe("last");
    expect(chunks.length + chunks.reduce((sum, chunk) => sum + (chunk.dropped ?? 0), 0)).toBe(burst + 1);
    expect(events.at(-1)?.type).toBe("run.completed");
    await engine.close();
  });

  it("end when the reader's signal aborts, or the engine closes", async () => {
    const { engine } = world();
    const handle = await engine.start(request("t", topology("A"), { A: () => new Promise(() => undefined) }));
    const stop = new AbortController();
    const reading = all(engine.events(handle.sessionId, { signal: stop.signal }));
    const other = all(engine.events(handle.sessionId));
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    expect((await reading).length).toBeGreaterThan(0);
    await engine.close();
    expect((await other).length).toBeGreaterThan(0);
  });

  it("are refused for a session nobody knows", async () => {
    const { engine } = world();
    await expect(all(engine.events("nobody"))).rejects.toMatchObject({ code: "ORCH_SESSION_UNKNOWN" });
    await engine.close();
  });

  it("leave a run alone when a listener of questions throws", async () => {
    const { engine } = world();
    const asked: unknown[] = [];
    engine.onQuestion(() => {
      throw new Error("listener");
    });
    engine.onQuestion((sessionId, question) => {
      asked.push(question.promptValue);
      void engine.answer(sessionId, question.questionId, 5).catch(() => undefined);
    });
    const handle = await engine.start(
      request("t", topology("A"), { A: (x, ctx) => (ctx.question ? x * 2 : ctx.ask("n?")) }),
    );
    await handle.outcome;
    for await (const event of engine.events(handle.sessionId)) {
      if (event.type !== "run.completed") continue;
      expect(event.value).toBe(10);
      break;
    }
    expect(asked).toEqual(["n?"]);
    await engine.close();
  });

  it("show big values by reference, while the result and the next agent get them whole", async () => {
    const { engine } = world();
    const big = "x".repeat(100_000);
    const handle = await engine.start(
      request("t", topology("A -> B"), code({ A: () => big, B: (x: string) => ({ length: x.length, text: x }) })),
    );
    const outcome = await handle.outcome;
    expect(outcome.finalResponse).toEqual({ length: 100_000, text: big });
    expect(outcome.trace[0]?.output).toMatchObject({ $blob: expect.any(String), bytes: expect.any(Number) });
    await engine.close();
  });

  it("list all steps of the last run, however many", async () => {
    const { engine } = world();
    const handle = await engine.start(
      request("t", topology("A -> B"), { A: (x) => x, B: (x) => x }, { sessionId: "two" }),
    );
    await handle.outcome;
    await run(engine, "u", topology("A"), { A: (x) => x }, { sessionId: "two" });
    const steps = [];
    for await (const step of engine.trace("two")) steps.push(step.input);
    expect(steps).toEqual(["u"]);
    await engine.close();
  });
});
