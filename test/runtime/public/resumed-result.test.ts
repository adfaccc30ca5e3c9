// What a run shows that went on in another process than the one it began in: all of it, as if it had never stopped.

import { afterEach, expect, it } from "vitest";
import { Edge, LevelStorage, OrchestraInstance, StateManager } from "../../../src/index.ts";
import type { LevelStorageOptions, OrchestraResult } from "../../../src/index.ts";
import { temporaryFolder } from "../../state/temporary-folder.ts";

const STEPS = 40;
const SESSION = "counted";
const opened: OrchestraInstance[] = [];
afterEach(() => Promise.all(opened.splice(0).map((instance) => instance.close())));

function counting(
  folder: string,
  { pausedAt, text = "", ...storage }: LevelStorageOptions & { pausedAt?: number; text?: string } = {},
): OrchestraInstance {
  const instance: OrchestraInstance = new OrchestraInstance({
    topology: {
      nodes: ["Work"],
      edges: [Edge("Work", "Work", { metadata: { condition: "again" } })],
      entryPoint: "Work",
      exitPoints: ["Work"],
    },
    conditions: { again: ({ output }) => (output as { count: number }).count < STEPS },
    agents: {
      Work({ count }: { count: number }) {
        if (count + 1 === pausedAt) void instance.pauseSession(SESSION);
        return { count: count + 1, text };
      },
    },
    stateManager: new StateManager({ storage: new LevelStorage(folder, { durability: "process", ...storage }) }),
  });
  opened.push(instance);
  return instance;
}

async function toTheEnd(instance: OrchestraInstance): Promise<OrchestraResult> {
  const result = await instance.execute({ task: { count: 0 }, sessionId: SESSION, maxSteps: 100 });
  await instance.close();
  return result;
}

async function pausedIn(folder: string, text = ""): Promise<void> {
  const result = await toTheEnd(counting(folder, { pausedAt: STEPS - 1, text }));
  expect(result.status).toBe("paused");
}

async function resumed(instance: OrchestraInstance): Promise<OrchestraResult> {
  const result = await instance.resumeSession(SESSION);
  await instance.close();
  return result;
}

/** What does not tell when, or in which process, it was. */
function shown(result: OrchestraResult) {
  return {
    status: result.status,
    finalResponse: result.finalResponse,
    totalSteps: result.totalSteps,
    traceTruncated: result.traceTruncated,
    checkpoints: result.checkpointIds.length,
    branches: result.branchResults.map(
      ({ startedAtMs: _from, duration: _s, durationMs: _ms, ...branch }: any) => branch,
    ),
    trace: result.getExecutionTrace().map(({ started: _started, ended: _ended, ...step }) => step),
  };
}

it("is that of a run that never stopped, also once its store is closed", async () => {
  const [stopped, whole] = [await temporaryFolder(), await temporaryFolder()];
  await pausedIn(stopped);
  const after = shown(await resumed(counting(stopped)));
  expect(after).toEqual(shown(await toTheEnd(counting(whole))));
  expect(after.trace).toHaveLength(STEPS);
  expect(after.branches[0]?.nodes).toHaveLength(STEPS);
});

it("is the same where values are kept by reference, and where a checkpoint was made", async () => {
  const text = "x".repeat(20_000);
  const [stopped, whole] = [await temporaryFolder(), await temporaryFolder()];
  await pausedIn(stopped, text);
  expect(shown(await resumed(counting(stopped, { text })))).toEqual(shown(await toTheEnd(counting(whole, { text }))));

  const marked = await temporaryFolder();
  await pausedIn(marked);
  const between = counting(marked);
  await between.createCheckpoint(SESSION, "between");
  await between.close();
  const result = await resumed(counting(marked));
  expect(result.checkpointIds).toHaveLength(1);
  expect(result.getExecutionTrace()).toHaveLength(STEPS);
});

it("says so when what it is asked for was damaged, and is an answer all the same", async () => {
  const folder = await temporaryFolder();
  await pausedIn(folder);
  const flipped = (key: string, value: Uint8Array): Uint8Array => {
    if (!/^c\/counted\/0*5$/.test(key)) return value;
    const copy = Uint8Array.from(value);
    copy[copy.length - 3] = (copy[copy.length - 3] ?? 0) ^ 1;
    return copy;
  };
  const instance = counting(folder, {
    intercept: (database) =>
      new Proxy(database, {
        get(target, name: keyof typeof database) {
          if (name !== "range") return target[name]?.bind(target);
          return async (...range: Parameters<typeof database.range>) =>
            (await target.range(...range)).map(([key, value]) => [key, flipped(key, value)] as const);
        },
      }),
  });
  const result = await resumed(instance);
  expect(result.finalResponse).toMatchObject({ count: STEPS });
  expect(() => result.getExecutionTrace()).toThrow(expect.objectContaining({ code: "ORCH_STORE_CORRUPT" }));
  expect(() => result.branchResults).toThrow(expect.objectContaining({ code: "ORCH_STORE_CORRUPT" }));
});

it("begins at a snapshot of where a long run was paused", async () => {
  const folder = await temporaryFolder();
  await pausedIn(folder);
  const store = new LevelStorage(folder);
  try {
    expect((await store.latestSnapshot(SESSION))?.n).toBe((await store.last(SESSION))?.n);
  } finally {
    await store.close();
  }
});
