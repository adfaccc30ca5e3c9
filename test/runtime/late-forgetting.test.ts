// Letting go of a result is not waited for, and over a bus it may come late: the results that were registered since must stay,
// or what an agent has done is done again.

import { afterEach, expect, it } from "vitest";
import { createLocalBus } from "../../src/bus/local-bus.ts";
import type { AgentContext } from "../../src/runtime/agent.ts";
import type { Bus, StepResult } from "../../src/bus/ports.ts";
import { ClusterWorld } from "./cluster-world.ts";

let cluster: ClusterWorld;
let late: (() => Promise<void>)[] = [];
let isLate = true;
let isHeard: (result: StepResult) => boolean = () => true;

/** What is to be forgotten is, when `forgetNow` says so; of some results no watcher hears. */
function open(): void {
  late = [];
  isLate = true;
  cluster = new ClusterWorld((clock) => {
    const bus = createLocalBus({ clock, ackWaitMs: 30_000, maxDelivery: 4 });
    const { results } = bus;
    const lateResults: Bus["results"] = {
      put: (result) => results.put(result),
      get: (...of) => results.get(...of),
      list: (sessionId) => results.list(sessionId),
      watch: (sessionId, onResult) => results.watch(sessionId, (one) => (isHeard(one) ? onResult(one) : undefined)),
      forget: (...of) =>
        isLate ? Promise.resolve(void late.push(() => results.forget(...of))) : results.forget(...of),
    };
    return { ...bus, results: lateResults, close: () => bus.close() };
  });
}

async function forgetNow(): Promise<void> {
  for (const forget of late.splice(0)) await forget();
}

const isRegistered = async (stepId: string, attempt: number): Promise<boolean> =>
  (await cluster.bus.results.get("s", stepId, attempt)) !== undefined;

afterEach(() => cluster.close());

it("does not take the result of the next attempt along", async () => {
  open();
  isHeard = ({ attempt }) => attempt === 1;
  const attempts: number[] = [];
  const A = (_input: unknown, ctx: { attempt: number }): string => {
    attempts.push(ctx.attempt);
    if (ctx.attempt === 1) throw Object.assign(new Error("again"), { retryable: true });
    return "done";
  };
  const instance = cluster.instance({ topology: { nodes: ["A"], edges: [] }, agents: { A } });
  const running = instance.execute({ task: "t", sessionId: "s" });
  await cluster.untilTrue("the second attempt is registered", () => isRegistered("1.0.1", 2));
  await forgetNow();
  expect((await cluster.until(running)).finalResponse).toBe("done");
  expect(attempts).toEqual([1, 2]);
});

it("does not take results of the next run along when a run has ended", async () => {
  open();
  isHeard = ({ stepId }) => stepId.startsWith("1.");
  const tasks: unknown[] = [];
  const A = (task: unknown): unknown => (tasks.push(task), task);
  const instance = cluster.instance({ topology: { nodes: ["A"], edges: [] }, agents: { A } });
  await cluster.until(instance.execute({ task: "first", sessionId: "s" }));
  const running = instance.execute({ task: "second", sessionId: "s" });
  await cluster.untilTrue("the second run's step is registered", () => isRegistered("2.0.1", 1));
  await forgetNow();
  expect((await cluster.until(running)).finalResponse).toBe("second");
  expect(tasks).toEqual(["first", "second"]);
  await forgetNow();
  await cluster.untilTrue("nothing is left", async () => (await cluster.bus.results.list("s")).length === 0);
});

it("does not ask people again what they answered, where a step of theirs was left registered as waiting", async () => {
  open();
  const inner = { nodes: ["Y"], edges: [] };
  let asked = 0;
  const agents = {
    A: async (task: unknown, ctx: AgentContext): Promise<unknown> =>
      (await ctx.run({ task: String(task), topology: inner, agents: { Y } })).finalResponse,
  };
  const Y = (answer: unknown, ctx: AgentContext): unknown => {
    if (ctx.question !== undefined) return `told ${String(answer)}`;
    asked++;
    return ctx.ask("really?");
  };
  const topology = { nodes: ["A"], edges: [] };
  const first = cluster.instance({ topology, agents });
  const waiting = await cluster.until(first.execute({ task: "t", sessionId: "s" }));
  expect(waiting.metadata.questions).toHaveLength(1);
  // It dies before the bus has let go of the result, which says that the step waits.
  isLate = false;
  const second = cluster.instance({ topology, agents });
  const result = await cluster.until(second.resumeSession("s", { userResponse: "yes" }));
  expect(result).toMatchObject({ status: "completed", finalResponse: "told yes" });
  expect(asked).toBe(1);
});
