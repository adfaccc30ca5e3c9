// What a newer program left in a store is refused by name, and takes nothing else with it.

import { describe, expect, it, onTestFinished } from "vitest";
import { upgradeState } from "../../src/actors/state-codec.ts";
import { decodeValue, encodeValue } from "../../src/base/codec.ts";
import { decodeRecord, encodeRecord } from "../../src/base/record.ts";
import { LevelStorage, next, OrchestraInstance, StateManager, Topology } from "../../src/index.ts";
import { openLevelFolder } from "../../src/state/level-folder.ts";
import { keys } from "../../src/state/level-keys.ts";
import { compilePlan } from "../../src/topology/compile.ts";
import { temporaryFolder } from "../state/temporary-folder.ts";

const TEAM = {
  topology: { nodes: ["Clerk"] },
  agents: {
    Clerk: (input: string, ctx: { question?: unknown }) => (ctx.question ? `got ${input}` : next.ask("go on?")),
  },
};

function open(folder: string): OrchestraInstance {
  const instance = new OrchestraInstance({
    ...TEAM,
    stateManager: new StateManager({ storage: new LevelStorage(folder) }),
  });
  onTestFinished(() => instance.close());
  return instance;
}

/** A store with two sessions that wait for an answer; `rewrite` changes one record of the session "newer". */
async function storeWith(key: string, rewrite: (value: any) => unknown): Promise<string> {
  const folder = await temporaryFolder();
  const instance = open(folder);
  await instance.execute("task", { sessionId: "newer" });
  await instance.execute("task", { sessionId: "plain" });
  await instance.createCheckpoint("newer", "cp");
  await instance.close();
  const database = await openLevelFolder(folder);
  const kind = key.startsWith("c") ? "commit" : key.startsWith("s") ? "snapshot" : "checkpoint";
  const [[found, record] = ["", undefined]] = await database.range(key, `${key}~`, { limit: 1 });
  const before = record === undefined ? undefined : decodeValue(decodeRecord(kind, record, found));
  const at = record === undefined ? key : found;
  await database.write([{ type: "put", key: at, value: encodeRecord(kind, encodeValue(rewrite(before)), at) }], true);
  await database.close();
  return folder;
}

describe.each([
  {
    what: "a commit of a newer format",
    key: keys.commit("newer", 2),
    rewrite: ([, ...rest]: unknown[]) => [7, ...rest],
    message: /format 7.*up to 2/,
  },
  {
    what: "a commit with a kind of fact that is not known",
    key: keys.commit("newer", 2),
    rewrite: (fields: unknown[]) => [...fields.slice(0, 7), [{ type: "step.teleported", stepId: "1.0.1" }]],
    message: /"step\.teleported".*format 2/,
  },
  {
    what: "a topology with a field that is not known",
    key: keys.commit("newer", 1),
    rewrite: (fields: any[]) => {
      const started = fields[7].find(({ type }: { type: string }) => type === "run.started");
      Object.assign(started.topology.nodes[0], { mirrored: true });
      return fields;
    },
    message: /newer program: node "Clerk" has the field "mirrored"/,
  },
  {
    what: "a snapshot by a newer reducer",
    key: keys.snapshot("newer", 2),
    rewrite: () => ({ n: 2, reducer: 9, topologyHash: null, atMs: 1, state: {} }),
    message: /version 9.*up to 1/,
  },
])("$what", ({ key, rewrite, message }) => {
  it("is a refusal that names both versions; the process goes on", async () => {
    const instance = open(await storeWith(key, rewrite));
    const refusal = { code: "ORCH_STORE_VERSION", message: expect.stringMatching(message) };
    await expect(instance.resumeSession("newer", { userResponse: "yes" })).rejects.toMatchObject(refusal);
    await expect(instance.getResult("newer")).rejects.toMatchObject(refusal);
    expect((await instance.resumeSession("plain", { userResponse: "yes" })).finalResponse).toBe("got yes");
    expect((await instance.execute("task", { sessionId: "third" })).status).toBe("awaiting_user");
  });
});

it("a checkpoint by a newer reducer is refused before anything is written", async () => {
  const folder = await storeWith("k", (checkpoint: { snapshot: object }) => ({
    ...checkpoint,
    snapshot: { ...checkpoint.snapshot, reducer: 9 },
  }));
  const instance = open(folder);
  const [checkpoint] = await instance.listCheckpoints("newer");
  const before = await instance.getSession("newer");
  await expect(instance.restoreCheckpoint(checkpoint!.checkpointId)).rejects.toMatchObject({
    code: "ORCH_STORE_VERSION",
    message: expect.stringMatching(/version 9.*up to 1/),
  });
  expect(await instance.getSession("newer")).toEqual(before);
  expect((await instance.resumeSession("newer", { userResponse: "yes" })).finalResponse).toBe("got yes");
});

describe("states of older reducers", () => {
  // As the table will stand when version 3 is out: version 1 called a field otherwise, version 2 lacked another.
  const upgrades = [
    (state: unknown) => ({ contextOf: (state as { ctx: unknown }).ctx }),
    (state: unknown) => ({ ...(state as object), agentState: {} }),
  ];

  it("go through every step from their version on", () => {
    const current = { contextOf: { a: 1 }, agentState: {} };
    expect(upgradeState({ ctx: { a: 1 } }, 1, upgrades)).toEqual(current);
    expect(upgradeState({ contextOf: { a: 1 } }, 2, upgrades)).toEqual(current);
    expect(upgradeState(current, 3, upgrades)).toEqual(current);
  });

  it("are refused when they are newer, naming both versions", () => {
    expect(() => upgradeState({}, 4, upgrades)).toThrow(/version 4.*up to 3/);
  });
});

describe("a topology that a newer program declared", () => {
  const { data } = Topology.from({ nodes: ["A", "B"], edges: ["A -> B"], rules: ["max_steps = 9"] });
  const edges = data.edges.map((edge) => ({ ...edge, escalate: true }));

  it.each([
    ['edge "A -> B" has the field "escalate"', { ...data, edges }],
    ['topology has the field "lanes"', { ...data, lanes: [] }],
    ['limits has the field "maxWords"', { ...data, limits: { ...data.limits, maxWords: 1 } }],
  ])("is not run without what %s says", (message, newer) => {
    const compile = () => compilePlan(newer, { errorRouting: true });
    expect(compile).toThrow(
      expect.objectContaining({ code: "ORCH_STORE_VERSION", message: expect.stringContaining(message) }),
    );
  });
});
