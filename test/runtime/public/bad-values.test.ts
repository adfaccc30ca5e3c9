// Values of the wrong kind where a caller hands them over. Each test opens with the root cause.

import { memoryStorage, next, Orchestra, OrchestraInstance, StateManager } from "orchestra";
import { describe, expect, it } from "vitest";

const topology = { nodes: ["A"], edges: [] };

// `after` was compared with numbers, so anything else read as some number or none.
it.each([-1, 1.5, Number.NaN, "3", null])("events after %s are refused", async (after) => {
  await using instance = new OrchestraInstance({ topology, agents: { A: () => 1 } });
  await instance.execute("t", { sessionId: "s" });
  await expect(instance.events("s", { after: after as number }).next()).rejects.toMatchObject({
    code: "ORCH_BAD_OPTION",
    message: expect.stringContaining("after: expected a whole number from 0"),
  });
});

// The list was taken apart before it was looked at.
it.each([
  ["5", 5, "expected a list of { agent, input }, got 5"],
  ["nothing", undefined, "expected a list of { agent, input }, got undefined"],
  ["a list that holds nothing", [undefined], "[0]: expected { agent, input } with the name of an agent, got undefined"],
  [
    "an item without an agent",
    [{ agent: "A" }, {}],
    "[1]: expected { agent, input } with the name of an agent, got an object",
  ],
])("next.parallel of %s fails the step, saying what was expected", async (_, given, message) => {
  const result = await Orchestra.run({ task: "t", topology, agents: { A: () => next.parallel(given as never) } });
  expect(result.error).toMatchObject({
    code: "ORCH_BAD_OPTION",
    message: expect.stringContaining(`next.parallel${message.startsWith("[") ? "" : ": "}${message}`),
  });
});

describe("agents that cannot be read", () => {
  const boom = (): never => {
    throw new Error("boom");
  };
  // A getter's error went straight through to the caller.
  it.each([
    [
      "by name",
      {
        topology,
        task: "t",
        agents: {
          get A() {
            return boom();
          },
        },
      },
      "agents.A",
    ],
    [
      "at all",
      {
        topology,
        task: "t",
        get agents() {
          return boom();
        },
      },
      "options",
    ],
    ["from their directory", { topology, task: "t", agents: { names: () => ["A"], get: boom } }, 'agent "A"'],
  ])("%s are a bad option", async (_, options, path) => {
    await expect((async () => Orchestra.run(options as never))()).rejects.toMatchObject({
      code: "ORCH_BAD_OPTION",
      message: expect.stringMatching(new RegExp(`^${path}.*boom`)),
    });
  });
});

// Checkpoints were listed as they were made, though those that make room are removed.
it("a result lists no checkpoint that was removed to make room", async () => {
  const names = [..."ABCDEFGH"];
  await using instance = new OrchestraInstance({
    topology: { nodes: names, edges: names.slice(1).map((to, i) => `${names[i]} -> ${to}`) },
    agents: Object.fromEntries(names.map((name) => [name, (x: unknown) => x])),
    stateManager: new StateManager({ storage: memoryStorage() }),
    initialConfig: { autoCheckpoint: { everySteps: 1, keep: 2 } },
  });
  await instance.execute("t", { sessionId: "s" });
  // The last of them may still be under way.
  const listed = async () => {
    const { checkpointIds } = await instance.getResult("s");
    const kept = (await instance.listCheckpoints("s")).map(({ checkpointId }) => checkpointId);
    return { kept: kept.length, gone: checkpointIds.filter((id) => !kept.includes(id)) };
  };
  await expect.poll(listed).toEqual({ kept: 2, gone: [] });
});
