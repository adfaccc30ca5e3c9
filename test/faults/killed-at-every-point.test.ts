// A child process is killed by SIGKILL at each point of the commit path, at its first passage, its second, and so on up to
// the last that a child meets which nobody kills. What it left is taken up by another process, and must add up.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LevelStorage } from "../../src/state/level-store.ts";
import { code, request, topology, world } from "../runtime/world.ts";
import { CHECKPOINT_POINTS, COMMIT_POINTS, MOVE_POINTS, type Point } from "./armed.ts";
import { commitsOf } from "./folders.ts";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./killed-child.ts", import.meta.url));

interface Ended {
  readonly killed: boolean;
  /** Values of `once` that were acknowledged, and the result when the run ended. */
  readonly acknowledged: ReadonlyMap<string, string>;
  readonly result: string | undefined;
  /** How often it passed each point, when it was not killed. */
  readonly passes: Readonly<Record<string, number>>;
}

function child(folder: string, durability: string, onces: number, point: Point | "", k: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, [CHILD, folder, durability, `${onces}`, point, `${k}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let out = "";
    process_.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    process_.on("close", (exitCode, signal) => {
      if (signal !== "SIGKILL" && exitCode !== 0)
        return reject(new Error(`the child ended with ${exitCode}: ${out.slice(-200)}`));
      const lines = out
        .split("\n")
        .slice(0, -1)
        .map((line): [string, string] => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]);
      const said = new Map(lines);
      const acknowledged = new Map(lines.filter(([what]) => /^\d/.test(what)));
      const passes = JSON.parse(said.get("passes") ?? "{}") as Record<string, number>;
      resolve({ killed: signal === "SIGKILL", acknowledged, result: said.get("ended"), passes });
    });
  });
}

/** Takes up what the child left, as a process that starts next does. */
async function takeUp(folder: string, durability: "disk" | "process", { acknowledged, result }: Ended): Promise<void> {
  const store = new LevelStorage(folder, { durability });
  const { engine } = world({ store });
  const seen = new Map<string, unknown>();
  const agents = code({
    async A(task, ctx) {
      for (let i = 0; i < Math.max(2, acknowledged.size); i++) seen.set(`${i}`, await ctx.once(`k${i}`, () => "new"));
      return `${task}a`;
    },
    B: (x) => `${x}b`,
  });
  try {
    const [recovered] = await engine.recover({ code: () => agents });
    const handle =
      recovered?.handle ??
      (await engine.start(request("t", topology("A -> B"), agents, { sessionId: "s", idempotencyKey: "once" })));
    const outcome = await handle.outcome;
    expect(outcome).toMatchObject({ status: "completed", finalResponse: "tab" });
    if (result !== undefined) expect(result).toBe("tab");
    const facts = (await commitsOf(store, "s")).flatMap((commit) => commit.facts);
    // Nothing acknowledged is lost, or is another now.
    const journaled = new Map(
      facts.flatMap(({ ...fact }) =>
        fact.type === "journaled" ? [[fact.key, fact.value as { readonly v?: unknown }] as const] : [],
      ),
    );
    for (const [i, value] of acknowledged) {
      expect(shown(journaled.get(`k${i}`)?.v)).toBe(value);
      if (seen.size > 0) expect(shown(seen.get(i))).toBe(value);
    }
    // One run, and each of its steps once.
    expect(facts.filter(({ type }) => type === "run.started")).toHaveLength(1);
    expect(facts.filter(({ type }) => type === "step.succeeded")).toHaveLength(2);
    expect((await store.verify()).ok).toBe(true);
  } finally {
    await engine.close();
    await store.close();
  }
}

/** As the child prints it. */
function shown(value: unknown): string {
  return typeof value === "string" ? `${value.length} ${value.slice(0, 12)}` : "nothing";
}

let root = "";
let folders = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "orchestra-killed-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));
const newFolder = (): string => join(root, String(folders++));

const SHORT = { durability: "disk", onces: 1 } as const;
/** Long enough for LevelDB to be handed batches, for a second file and for snapshots. */
const LONG = { durability: "process", onces: 640 } as const;

async function killedAt(point: Point, k: number, { durability, onces }: typeof SHORT | typeof LONG): Promise<void> {
  const folder = newFolder();
  const ended = await child(folder, durability, onces, point, k);
  expect(ended.killed).toBe(true);
  await takeUp(folder, durability, ended);
  await rm(folder, { recursive: true, force: true });
}

describe("a process that is killed loses nothing acknowledged and repeats no recorded step", () => {
  let short: Ended["passes"] = {};
  let long: Ended["passes"] = {};
  beforeAll(async () => {
    short = (await child(newFolder(), SHORT.durability, SHORT.onces, "", 0)).passes;
    long = (await child(newFolder(), LONG.durability, LONG.onces, "", 0)).passes;
  });

  describe.concurrent("two at a time", () => {
    it.each(COMMIT_POINTS)("at every passage of: %s", async (point) => {
      // Each is met, or it is armed in vain.
      expect(short[point]).toBeGreaterThan(0);
      for (let k = 1; k <= short[point]!; k++) await killedAt(point, k, SHORT);
    });

    it.each(CHECKPOINT_POINTS)("when a checkpoint is made after each step, at: %s", async (point) => {
      for (const k of [1, 2]) await killedAt(point, k, SHORT);
    });

    it.each(MOVE_POINTS)("while much is written, at its first passage and a later one, at: %s", async (point) => {
      expect(long[point]).toBeGreaterThan(0);
      for (const k of new Set([1, Math.min(3, long[point]!)])) await killedAt(point, k, LONG);
    });
  });
});
