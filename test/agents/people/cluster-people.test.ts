// People of a cluster: questions that hosts ask and clients answer, and those that nobody answers in time.

import { CommunicationManager, Node, type RunEvent } from "orchestra";
import { afterEach, beforeEach, expect, it } from "vitest";

import { ClusterWorld } from "../../runtime/cluster-world.ts";

let world: ClusterWorld;
beforeEach(() => {
  world = new ClusterWorld();
});
afterEach(() => world.close());

const topology = {
  nodes: ["A", Node("User", { timeoutMs: 10_000, onTimeout: { answer: "no" } }), "B"],
  edges: ["A -> User", { from: "User", to: "B", condition: "output != 'never'" }],
};
const agents = { A: () => "may I?", B: (answer: string) => `got ${answer}` };

async function asked(): Promise<{ sessionId: string }> {
  const client = world.instance({ topology });
  const result = await world.until(client.execute("x"));
  expect(result.status).toBe("awaiting_user");
  return result;
}

it.each([
  ["the host that asked", false],
  ["another host, where the one that asked is gone", true],
])("takes the outcome of a time-out on %s", async (_, goes) => {
  const first = await world.host({ agents });
  const { sessionId } = await asked();
  if (goes) {
    await world.host({ agents });
    await world.until(first.close());
  }
  await world.clock.advance(10_000);
  const client = world.instance({ topology });
  await world.untilTrue(
    "the run ends",
    async () => (await world.until(client.getSession(sessionId)))?.status === "completed",
  );
  expect(await world.until(eventsOf(client.events(sessionId)))).toContain("user.timed_out");
});

it("takes the answer of a client, though only hosts can judge where it leads", async () => {
  await world.host({ agents });
  const { sessionId } = await asked();
  const communicationManager = new CommunicationManager();
  const client = world.instance({ communicationManager });
  const [question] = await world.until(communicationManager.pending({ sessionId }));
  await world.until(communicationManager.submitResponse(question!.questionId, "yes"));
  await world.untilTrue(
    "the run ends",
    async () => (await world.until(client.getSession(sessionId)))?.status === "completed",
  );
});

async function eventsOf(events: AsyncIterable<RunEvent>): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of events) {
    types.push(type);
    if (type === "run.completed") break;
  }
  return types;
}
