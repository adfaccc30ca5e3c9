import { afterAll, beforeAll, expect, it } from "vitest";
import type { Bus, StepMessage } from "../../src/bus/ports.ts";
import type { StepBody } from "../../src/runtime/step-wire.ts";
import { run, topology, world } from "../runtime/world.ts";
import { startNats, type NatsServer } from "../support/nats.ts";
import { openBus } from "./bus-world.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(async () => {
  // In order it would take its time over all the streams.
  await server.kill();
  await server[Symbol.asyncDispose]();
});

// The compiler asks for each field that is added.
const FIELDS: Record<Exclude<keyof StepBody, "threw">, true> = {
  offer: true,
  kind: true,
  inputShape: true,
  topologyHash: true,
  defaultTimeoutMs: true,
  task: true,
  context: true,
  agentState: true,
  runs: true,
  successors: true,
  place: true,
  steeringMode: true,
  journal: true,
  budgetLeft: true,
};

const fieldsOf = (body: unknown): Record<string, unknown> =>
  Object.fromEntries(Object.keys(FIELDS).map((field) => [field, (body as Record<string, unknown>)[field]]));

/** Notes each step as it is offered and as it is claimed. */
function noting(bus: Bus) {
  const offered = new Map<string, StepMessage>();
  const claimed = new Map<string, StepMessage>();
  const key = ({ sessionId, stepId, attempt }: StepMessage): string => `${sessionId}/${stepId}/${attempt}`;
  const { steps } = bus;
  const noted: Bus = {
    ...bus,
    steps: {
      offer(step) {
        offered.set(key(step), { ...step, body: fieldsOf(step.body) });
        return steps.offer(step);
      },
      withdraw: (...args) => steps.withdraw(...args),
      depth: (agent) => steps.depth(agent),
      serve: (options) =>
        steps.serve({
          ...options,
          run(claim) {
            claimed.set(key(claim.step), claim.step);
            return options.run(claim);
          },
        }),
    },
  };
  return { noted, offered, claimed };
}

it("hands a step that crossed the bus over as one that did not, field by field, what is worked out included", async () => {
  const bus = await openBus(server.url, { localFirst: false });
  const { noted, offered, claimed } = noting({ ...bus.ports, name: "nats" });
  const { engine } = world({ bus: noted });
  const seen: unknown[] = [];
  const outcome = await run(
    engine,
    { text: "héllo", bytes: new Uint8Array([1, 2, 3]), when: new Date(5), many: new Map([["k", [1, 2]]]) },
    topology("A -> B", { edge: "A -> C", condition: "left" }, "B -> D", "C -> D", "D <-> E"),
    {
      A: (_input, context) => {
        seen.push(context.successors);
        return context.once("key", () => ({ route: "left" }));
      },
      B: () => "b",
      C: () => "c",
      D: (_input, context) => ({ replies: context.replies?.length ?? 0 }),
      E: () => "x".repeat(400_000),
    },
  );
  expect(outcome.error ?? outcome.status).toBe("completed");
  expect(claimed.size).toBeGreaterThanOrEqual(5);
  for (const [key, step] of offered) {
    const { body, ...rest } = claimed.get(key) ?? step;
    const { body: asOffered, ...restOffered } = step;
    expect(rest).toEqual(restOffered);
    expect(Object.keys(body as object).sort()).toEqual(Object.keys(FIELDS).sort());
    expect(body).toEqual(asOffered);
  }
  expect([...claimed.keys()].sort()).toEqual([...offered.keys()].sort());
  const [first] = offered.values();
  expect(seen).toEqual([fieldsOf(first?.body)["successors"]]);
  await engine.close();
  await bus.close();
});
