import { expect, it } from "vitest";
import type { AgentContext } from "../../src/runtime/agent.ts";
import { Values, type NewBlobs } from "../../src/runtime/values.ts";
import { request, topology, world } from "./world.ts";

/** Each is kept by its hash: above 16 KiB. */
const large = (what: string): string => `${what} `.repeat(10_000);

it("gives a step that is resumed in a new process every large value it can ask for", async () => {
  const { engine, again } = world();
  const data = topology("A -> B", "A -> C");
  const agents = (seen: (ctx: AgentContext) => void, output: (node: string) => string) => ({
    A: (_: unknown, ctx: AgentContext) => {
      seen(ctx);
      for (const key of ["one", "two", "three"]) ctx.state.set(key, large(`state ${key}`));
      return "a";
    },
    B: () => output("B"),
    C: () => output("C"),
  });
  const context = { brief: large("brief"), notes: large("notes") };
  const first = request(
    large("task 1"),
    data,
    agents(() => undefined, large),
    { sessionId: "s1", context },
  );
  expect((await (await engine.start(first)).outcome).status).toBe("completed");
  await engine.close();
  let seen: unknown;
  const cold = again().engine;
  const look = (ctx: AgentContext): void => {
    seen = {
      task: ctx.task,
      context: ctx.context,
      state: ctx.state.keys().map((key) => ctx.state.get(key)),
      runs: ctx.session.runs.map(({ task, finalResponse }) => [task, finalResponse]),
    };
  };
  const second = request(large("task 2"), data, agents(look, String), { sessionId: "s1" });
  await (
    await cold.start(second)
  ).outcome;
  await cold.close();
  expect(seen).toEqual({
    task: large("task 2"),
    context,
    state: ["one", "two", "three"].map((key) => large(`state ${key}`)),
    runs: [[large("task 1"), [large("B"), large("C")]]],
  });
});

it("pins values that do not all fit into its memory, each fetched once", async () => {
  const blobs: NewBlobs = new Map();
  const writer = new Values({ getBlob: () => Promise.reject(new Error("unused")) });
  const texts = ["a", "b", "c", "d"].map(large);
  const stored = texts.map((text) => writer.store(text, "value", blobs));
  const fetched: string[] = [];
  const bytesOfOne = Math.max(...[...blobs.values()].map(({ byteLength }) => byteLength));
  const values = new Values(
    {
      getBlob: async (ref) => {
        fetched.push(ref);
        if (fetched.length > 100) throw new Error("fetched over and over");
        return blobs.get(ref) as Uint8Array;
      },
    },
    { cacheBytesMax: bytesOfOne * 2 },
  );
  const pinned = new Map<string, Uint8Array>();
  const all = [{ list: stored.slice(1) }, stored[0]!];
  await values.pin(all, pinned);
  expect(all.map((one) => values.peekPinned(one, pinned))).toEqual([texts.slice(1), texts[0]]);
  expect(fetched.toSorted()).toEqual([...blobs.keys()].toSorted());
});
