import { describe, expect, it } from "vitest";
import { code, deferred, request, topology, world } from "./world.ts";

async function gather(chunks: AsyncIterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = [];
  for await (const chunk of chunks) list.push(chunk);
  return list;
}

const STREAM = topology({ edge: "A -> B", type: "stream" });

describe("a stream edge", () => {
  it("starts its target at the first chunk, and takes over what it came to", async () => {
    const { engine } = world();
    const begun = deferred();
    let runs = 0;
    const agents = code({
      A: async (_x, ctx) => {
        ctx.emit("he");
        await begun.promise;
        ctx.emit("llo");
        return "hello";
      },
      B: async (_x, ctx) => {
        runs++;
        begun.resolve();
        return (await gather(ctx.chunks!)).join("");
      },
    });
    const outcome = await (await engine.start(request("t", STREAM, agents))).outcome;
    expect(outcome.finalResponse).toBe("hello");
    expect(runs).toBe(1);
    expect(outcome.trace.map((step) => step.node)).toEqual(["A", "B"]);
    await engine.close();
  });

  it("aborts the target when its source fails, and starts it anew with the next attempt", async () => {
    const { engine } = world();
    const aborted: boolean[] = [];
    const agents = code({
      A: async (_x, ctx) => {
        ctx.emit(`from ${ctx.attempt}`);
        await new Promise((resolve) => setImmediate(resolve));
        if (ctx.attempt === 1) throw Object.assign(new Error("flaky"), { retryable: true });
        return "whole";
      },
      B: async (_x, ctx) => {
        ctx.signal.addEventListener("abort", () => aborted.push(true));
        return gather(ctx.chunks!);
      },
    });
    const outcome = await (await engine.start(request("t", STREAM, agents))).outcome;
    expect(outcome.finalResponse).toEqual(["from 2"]);
    expect(aborted).toEqual([true]);
    await engine.close();
  });

  it("drops what was begun ahead when the run takes another way", async () => {
    const { engine } = world();
    const stopped = deferred();
    const agents = code({
      A: async (_x, ctx) => {
        ctx.emit(1);
        await new Promise((resolve) => setImmediate(resolve));
        return { route: "other" };
      },
      B: (_x, ctx) => {
        ctx.signal.addEventListener("abort", () => stopped.resolve());
        return new Promise(() => undefined);
      },
      C: () => "other way",
    });
    const outcome = await (
      await engine.start(
        request(
          "t",
          topology({ edge: "A -> B", type: "stream", condition: "stream" }, { edge: "A -> C", condition: "other" }),
          agents,
        ),
      )
    ).outcome;
    expect(outcome.finalResponse).toBe("other way");
    await stopped.promise;
    expect(outcome.trace.map((step) => step.node)).toEqual(["A", "C"]);
    await engine.close();
  });

  it("gives the whole output as one chunk when the source emitted nothing, or after a crash", async () => {
    const { engine, again } = world();
    const agents = (emit: boolean, stuck: boolean) =>
      code({
        A: (_x, ctx) => {
          if (emit) ctx.emit("part");
          return "whole";
        },
        B: async (x, ctx) => {
          const chunks = await gather(ctx.chunks!);
          return stuck ? new Promise(() => undefined) : { x, chunks };
        },
      });
    const quiet = await (await engine.start(request("t", STREAM, agents(false, false)))).outcome;
    expect(quiet.finalResponse).toEqual({ x: "whole", chunks: ["whole"] });
    const handle = await engine.start(request("t", STREAM, agents(true, true)));
    for await (const event of engine.events(handle.sessionId))
      if (event.type === "step.started" && event.node === "B") break;
    await engine.close();
    const later = again().engine;
    const outcome = await (await later.resume(handle.sessionId, { code: agents(true, false) })).outcome;
    expect(outcome.finalResponse).toEqual({ x: "whole", chunks: ["whole"] });
    await later.close();
  });

  it("records once-results of a target begun ahead, so that a later attempt does not repeat them", async () => {
    const { engine, again } = world();
    const charges: number[] = [];
    const agents = (stuck: boolean) =>
      code({
        A: async (_x, ctx) => {
          ctx.emit("part");
          await new Promise((resolve) => setTimeout(resolve, 20));
          return "whole";
        },
        B: async (_x, ctx) => {
          const receipt = await ctx.once("charge", () => charges.push(1));
          await gather(ctx.chunks!);
          return stuck ? new Promise(() => undefined) : { receipt };
        },
      });
    const handle = await engine.start(request("t", STREAM, agents(true)));
    for await (const event of engine.events(handle.sessionId))
      if (event.type === "step.started" && event.node === "B") break;
    await engine.close();
    const later = again().engine;
    const outcome = await (await later.resume(handle.sessionId, { code: agents(false) })).outcome;
    expect(outcome.finalResponse).toEqual({ receipt: 1 });
    expect(charges).toHaveLength(1);
    await later.close();
  });
});
