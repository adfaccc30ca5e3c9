// Random agents: they answer, command, ask, fail, hang, write state and side effects, and say too much. What one does depends
// on its seed and the step, so that the same step of the same seed goes the same way after a crash, or (`fickle`) does not.

import { next, type AgentContext, type AgentFunction } from "../../runtime/agent.ts";
import type { Random } from "../../base/random.ts";
import { between, chance, pick, streamFor } from "./chance.ts";
import type { AgentWorld } from "./scenario.ts";

/** Plain data, so that it can be printed and made smaller. */
export interface DrawnAgent {
  readonly seed: number;
  /** How often it does anything but answer, 0 to 1. */
  readonly wildness: number;
  /** A second call for the same step may go another way. */
  readonly fickle: boolean;
}

const HUGE_BYTES = 40_000;

type Deed = (input: unknown, ctx: AgentContext, random: Random, world: AgentWorld) => unknown;

const answer: Deed = (input, ctx, random) => ({
  route: random.next() < 0.5 ? "yes" : "no",
  of: ctx.node,
  saw: JSON.stringify(input)?.length ?? 0,
});

const DEEDS = (): readonly Deed[] => [
  function failsTransiently() {
    throw Object.assign(new Error("busy"), { status: 503 });
  },
  function failsForGood() {
    throw new Error("boom");
  },
  () => next.fail("gives up"),
  function throwsNonsense() {
    // oxlint-disable-next-line typescript/only-throw-error
    throw { some: "thing" };
  },
  (_input, ctx, _random, world) =>
    world.stormy
      ? new Promise((_resolve, reject) => ctx.signal.addEventListener("abort", () => reject(new Error("stopped"))))
      : "would hang",
  (_input, _ctx, _random, world) => (world.stormy ? new Promise(() => undefined) : "would hang"),
  async function dawdles(input, ctx, random, world) {
    await world.sleep(between(random, 1, 4_000));
    return answer(input, ctx, random, world);
  },
  (_input, ctx) => ({ route: "yes", of: ctx.node, text: "x".repeat(HUGE_BYTES) }),
  () => ({ cannot: () => "be stored" }),
  (_input, ctx) => next.final({ final: ctx.node }),
  (_input, ctx) => (ctx.question === undefined ? next.ask(`what does ${ctx.node} do?`) : { route: "yes" }),
  (_input, ctx, random) => {
    const [first] = ctx.successors;
    return first === undefined ? "nobody" : next.invoke(pick(random, ctx.successors).agent, `from ${ctx.node}`);
  },
  (_input, ctx, random) =>
    next.parallel(
      ctx.successors
        .filter(() => chance(random, 0.7))
        .map(({ agent }, i) => ({ agent, input: `${i} from ${ctx.node}` })),
    ),
  () => next.invoke("Nobody", 0),
  async (_input, ctx, random, world) => {
    const paid = await ctx.once("pay", async () => {
      await world.sleep(between(random, 0, 200));
      return { receipt: ctx.stepId };
    });
    return { route: "no", paid };
  },
  (_input, ctx) => {
    ctx.state.set("count", (ctx.state.get<number>("count") ?? 0) + 1);
    return { route: "yes", count: ctx.state.get("count") };
  },
  async (_input, ctx, random, world) => {
    for (let i = 0; i < 3; i++) {
      ctx.emit({ chunk: i });
      await world.sleep(between(random, 0, 50));
    }
    return { route: "no", spoke: true };
  },
  (_input, ctx) => {
    ctx.usage({ inputTokens: 10, outputTokens: 5, costUsd: 0.01 });
    return { route: "yes" };
  },
  async (_input, ctx) => {
    const chunks: unknown[] = [];
    for await (const chunk of ctx.chunks ?? []) chunks.push(chunk);
    return { route: "yes", heard: chunks.length };
  },
  runsNested,
];

/** A team inside a step. */
const INNER = { nodes: ["Inner", "Last"], edges: ["Inner -> Last"] };

const runsNested: Deed = async (_input, ctx, random, world) => {
  const waitMs = chance(random, 0.5) ? between(random, 1, 1_000) : 0;
  const asks = chance(random, 0.3);
  const result = await ctx.run({
    task: ctx.node,
    topology: INNER,
    agents: {
      Inner: async (_task: unknown, inner: AgentContext) => {
        await world.sleep(waitMs);
        return asks && inner.question === undefined ? next.ask("inside?") : "inner";
      },
      Last: (said: unknown) => ({ said }),
    },
  });
  return { route: "yes", nested: result.status };
};

export function drawAgent(random: Random): DrawnAgent {
  return {
    seed: between(random, 0, 2 ** 31),
    wildness: random.next() ** 2,
    fickle: chance(random, 0.3),
  };
}

export function agentFrom({ seed, wildness, fickle }: DrawnAgent, world: AgentWorld): AgentFunction {
  return async (input, ctx) => {
    const random = streamFor(seed, ctx.idempotencyKey, ctx.attempt, fickle ? Math.floor(world.random() * 1_000) : 0);
    const deed = chance(random, wildness) ? pick(random, DEEDS()) : answer;
    for (let i = between(random, 0, 3); i > 0; i--) await Promise.resolve();
    return deed(input, ctx, random, world);
  };
}
