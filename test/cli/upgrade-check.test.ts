// `orchestra upgrade-check` on a store on disk and a changed file; once as a process.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../src/base/codec.ts";
import { decodeRecord, encodeRecord } from "../../src/base/record.ts";
import type { Io } from "../../src/cli/io.ts";
import { NO_TERMINAL } from "./command-line.ts";
import { runCli } from "../../src/cli/program.ts";
import { LevelStorage, next, OrchestraInstance, StateManager, Topology, type AgentContext } from "../../src/index.ts";
import { openLevelFolder } from "../../src/state/level-folder.ts";
import { keys } from "../../src/state/level-keys.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const JITI = pathToFileURL(join(ROOT, "node_modules/jiti/lib/jiti-register.mjs")).href;

const TEAM = Topology.from({
  nodes: ["Plan", "Draft", "User", "Publish"],
  edges: ["Plan -> Draft", "Draft -> User", "User -> Publish"],
});
const ask = (x: unknown, ctx: AgentContext): unknown => (ctx.question ? x : next.ask("?"));

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-upgrade-"));
  const begin = async (sessionId: string, agents: object): Promise<void> => {
    await using instance = new OrchestraInstance({
      topology: TEAM,
      agents: agents as never,
      stateManager: new StateManager({ storage: new LevelStorage(join(folder, "store")) }),
    });
    await instance.execute("otters", { sessionId });
  };
  const plain = { Plan: (x: unknown) => x, Draft: (x: unknown) => x, Publish: (x: unknown) => x };
  await begin("at-draft", { ...plain, Draft: ask });
  await begin("at-user", plain);
  await begin("ended", { ...plain, Plan: () => next.final("at once") });
  return () => rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function ioTo(out: string[], err: string[]): Io {
  return {
    ...NO_TERMINAL,
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    env: {},
    stdin: process.stdin,
    cwd: folder,
    onSignal: () => () => undefined,
    exit: () => undefined,
  };
}

/** In this process: what a command writes, and the code it ends with. */
async function check(file: string, text: string, ...flags: string[]): Promise<Ended> {
  writeFileSync(join(folder, file), text);
  const [out, err]: [string[], string[]] = [[], []];
  const ended = await runCli(["upgrade-check", file, "--store", "store", ...flags], ioTo(out, err));
  return { code: ended, out: out.join("\n"), err: err.join("\n") };
}

const data = (nodes: unknown[], edges: unknown[], more: object = {}): string =>
  JSON.stringify({ nodes, edges, ...more });
const code = (text: string): string => `
  export const agents = { Plan: (x) => x, Draft: (x) => x, Write: (x) => x, Publish: (x) => x, Check: (x) => x };
  ${text}`;

const MOVED =
  code(`export const topology = { nodes: ["Write", "User", "Publish"], edges: ["Write -> User", "User -> Publish"] };
      export const options = { migrations: [{ from: "${TEAM.hash}", nodes: { Draft: "Write" } }] };`);

describe("orchestra upgrade-check", () => {
  it("ends with 0 when all resume, and says with which topology", async () => {
    const same = await check("same.json", JSON.stringify(TEAM.toJSON()));
    expect(same).toMatchObject({ code: 0, err: expect.stringContaining("2 unfinished: 2 resume") });
    expect(same.out).toContain("at-user  awaiting_user  resumes: it has this topology");
    expect(same.out).not.toContain("ended");
    const longer = await check(
      "longer.ts",
      code(`export const topology = { nodes: ["Plan", "Draft", "User", "Check", "Publish"],
        edges: ["Plan -> Draft", "Draft -> User", "User -> Check", "Check -> Publish"] };`),
    );
    expect(longer.code).toBe(0);
    expect(longer.out).toContain("at-draft  awaiting_user  resumes: with the topology it was begun with");
    expect(longer.out).toContain(`migrations: [{ from: "${TEAM.hash}" }]`);
  });

  it("names the nodes that a migration has to name, and ends with 1", async () => {
    const renamed = data(["Write", "User", "Publish"], ["Write -> User", "User -> Publish"]);
    const ended = await check("renamed.json", renamed, "--json");
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.out)).toMatchObject({
      ok: false,
      others: 0,
      sessions: [
        { sessionId: "at-draft", verdict: "needs_migration", nodes: ["Draft"], goesOnWith: null },
        { sessionId: "at-user", verdict: "needs_migration", nodes: [] },
      ],
    });
    const told = await check("renamed.json", renamed);
    expect(told.out).toContain(`migrations: [{ from: "${TEAM.hash}", nodes: { "Draft": … } }]`);
    expect(told.err).toContain("2 unfinished: 0 resume, 2 need a migration, 0 cannot");
  });

  it("is a process that ends with that code", () => {
    writeFileSync(join(folder, "write.json"), data(["Write"], []));
    const args = ["--import", JITI, join(ROOT, "src/cli/main.ts"), "upgrade-check", "write.json"];
    const env = { PATH: process.env["PATH"] ?? "", ORCHESTRA_STORE: "store" };
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: folder, env, encoding: "utf8" });
    expect(status).toBe(1);
    expect(stdout).toMatch(/at-draft.*needs a migration/);
  });

  it("takes the migrations that the file registers", async () => {
    const ended = await check("moved.ts", MOVED);
    expect(ended).toMatchObject({ code: 0, err: expect.stringContaining("2 resume") });
    expect(ended.out).toContain("resumes: its migration moves it to this topology");
  });

  it("says why a session cannot, and goes on with the others", async () => {
    const ended = await check(
      "cannot.json",
      data(["Plan", { name: "User", kind: "agent" }], ["Plan -> User"]),
      "--json",
    );
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.out).sessions).toMatchObject([
      { sessionId: "at-draft", verdict: "needs_migration", nodes: ["Draft"] },
      {
        sessionId: "at-user",
        verdict: "cannot",
        reasons: [
          expect.stringContaining('no agent named "Draft"'),
          expect.stringMatching(/"User" is of kind user in the run/),
        ],
      },
    ]);
  });

  it("leaves sessions of another topology alone: by name, or by hash when one is given", async () => {
    const none = await check("same.json", JSON.stringify(TEAM.toJSON()), "--from", "0".repeat(64));
    expect(none).toMatchObject({ code: 0, out: "" });
    expect(none.err).toContain("0 unfinished");
    expect(none.err).toContain("2 of another topology");
    const one = await check("renamed.json", data(["Write"], []), "--from", TEAM.hash);
    expect(one.code).toBe(1);
  });

  it("is right about what resume does", async () => {
    await check("moved.ts", MOVED);
    const [out, err]: [string[], string[]] = [[], []];
    const args = ["resume", "at-draft", "--file", "moved.ts", "--store", "store", "--answer", "fine", "--no-ask", "-q"];
    expect(await runCli(args, ioTo(out, err))).toBe(3);
    expect(err.join("\n")).toContain("waits for an answer");
    expect((await check("moved.ts", MOVED)).out).toMatch(/at-draft {2}awaiting_user {2}resumes: it has this topology/);
  });

  it("reports a session that cannot be read, and ends with 2 for what is no topology", async () => {
    const database = await openLevelFolder(join(folder, "store"));
    const key = keys.commit("at-user", 2);
    const before = (await database.get(key))!;
    const [, ...fields] = decodeValue(decodeRecord("commit", before, key)) as unknown[];
    await database.write([{ type: "put", key, value: encodeRecord("commit", encodeValue([9, ...fields]), key) }], true);
    await database.close();
    const ended = await check("same.json", JSON.stringify(TEAM.toJSON()));
    expect(ended.code).toBe(1);
    expect(ended.out).toMatch(/at-user.*cannot[^]*ORCH_STORE_VERSION.*format 9/);
    expect(await check("bad.json", data(["A"], ["A -> B"]))).toMatchObject({ code: 2 });
    expect(await check("none.json", `{ "topology": null }`)).toMatchObject({ code: 2 });
  });
});
