import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";

import { beforeAll, describe, expect, it, onTestFinished } from "vitest";

import type { Io } from "../../src/cli/io.ts";
import { NO_TERMINAL } from "./command-line.ts";
import { runCli } from "../../src/cli/program.ts";
import { LevelStorage, OrchestraInstance, StateManager } from "../../src/index.ts";
import { fingerprint } from "../faults/folders.ts";

/** Two sessions of three steps each, which ended. */
let whole: string;
beforeAll(async () => {
  whole = await mkdtemp(join(tmpdir(), "orchestra-verify-"));
  const stateManager = new StateManager({ storage: new LevelStorage(whole) });
  await using instance = new OrchestraInstance({
    topology: { nodes: ["A", "B", "C"], edges: ["A -> B -> C"] },
    agents: { A: () => "a", B: () => "b", C: () => "c" },
    stateManager,
  });
  for (const sessionId of ["first", "second"]) await instance.execute({ task: "go", sessionId });
  return () => rm(whole, { recursive: true, force: true });
});

async function orchestra(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const io: Io = {
    ...NO_TERMINAL,
    out: (text) => void (out += `${text}\n`),
    err: (text) => void (err += `${text}\n`),
    env: {},
    stdin: Readable.from([]),
    cwd: "/",
    onSignal: () => () => undefined,
    exit: () => undefined,
  };
  const code = await runCli(args, io);
  return { code, out, err };
}

async function damagedCopy(key: string): Promise<string> {
  const folder = join(await mkdtemp(join(tmpdir(), "orchestra-verify-")), "state");
  onTestFinished(() => rm(join(folder, ".."), { recursive: true, force: true }));
  await cp(whole, folder, { recursive: true });
  const log = join(folder, (await readdir(folder)).find((name) => name.endsWith(".log")) ?? "");
  const bytes = await readFile(log);
  const at = bytes.lastIndexOf(key);
  expect(at).toBeGreaterThan(0);
  bytes[at + key.length + 20]! ^= 1;
  await writeFile(log, bytes);
  return folder;
}

describe("orchestra verify", () => {
  it("says that a good store is good", async () => {
    expect(await orchestra("verify", whole)).toEqual({
      code: 0,
      out: expect.stringMatching(/2 sessions, \d+ good commits, 0 blobs\ngood\n$/),
      err: "",
    });
  });

  it("names the first bad record, what was lost with it and up to when the rest is good", async () => {
    const folder = await damagedCopy("c/second/000000000003");
    const { code, out } = await orchestra("verify", folder);
    expect(code).toBe(4);
    expect(out).toMatch(/damaged {2}\d+\.log at byte \d+: a record fails its checksum \(held .*of session second/);
    expect(out).toMatch(/session second, record c\/second\/\d+: .*\n {9}lost: commits? \d.*; good up to 20\d\d-/);
    expect(out).not.toMatch(/session first, record/);
    expect(out).toContain(`"orchestra repair ${folder} --copy NEW"`);
    const { out: json } = await orchestra("verify", folder, "--json");
    expect(JSON.parse(json)).toMatchObject({
      ok: false,
      sessions: 2,
      files: [{ losesData: true, held: [{ sessionId: "second" }] }],
      problems: [{ sessionId: "second" }],
    });
  });

  it("refuses a store that is open, and a folder that is none", async () => {
    const folder = `${whole}-open`;
    await cp(whole, folder, { recursive: true });
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const store = new LevelStorage(folder);
    await store.open();
    expect(await orchestra("verify", folder)).toMatchObject({
      code: 4,
      err: expect.stringContaining("ORCH_STORE_LOCKED"),
    });
    await store.close();
    expect(await orchestra("verify", join(whole, "not-there"))).toMatchObject({ code: 2 });
    expect(await orchestra("verify", import.meta.dirname)).toMatchObject({
      code: 4,
      err: expect.stringContaining("there is no store"),
    });
  });
});

describe("orchestra repair", () => {
  it("saves what is good into a new folder that opens, and leaves the original as it was", async () => {
    const folder = await damagedCopy("c/second/000000000003");
    const before = await fingerprint(folder);
    await expect(new LevelStorage(folder).open()).rejects.toMatchObject({ code: "ORCH_STORE_CORRUPT" });
    const copy = `${folder}-repaired`;
    const { code, out } = await orchestra("repair", folder, "--copy", copy);
    expect(code).toBe(4);
    expect(out).toMatch(/saved {4}session first: \d+ commits up to \d+, completed, 20/);
    expect(out).toMatch(/saved {4}session second: \d commits? up to \d, running, 20.*\n {9}lost: commits? \d/);
    expect(await fingerprint(folder)).toBe(before);
    expect(await orchestra("verify", copy)).toMatchObject({ code: 0 });
    // The damaged session goes on where its last good state stood.
    const options = {
      agents: { A: () => "a", B: () => "b", C: () => "c" },
      stateManager: new StateManager({ storage: new LevelStorage(copy) }),
    };
    await using instance = new OrchestraInstance(options, { recover: false });
    expect((await instance.getResult("first")).finalResponse).toBe("c");
    expect((await instance.resumeSession("second")).finalResponse).toBe("c");
  });

  it("says of a damaged table what is left, and where more may have been", async () => {
    const folder = join(await mkdtemp(join(tmpdir(), "orchestra-verify-")), "state");
    onTestFinished(() => rm(join(folder, ".."), { recursive: true, force: true }));
    await cp(whole, folder, { recursive: true });
    // A log becomes a table when it is opened again.
    const store = new LevelStorage(folder);
    await store.open();
    await store.close();
    const table = join(folder, (await readdir(folder)).find((name) => name.endsWith(".ldb")) ?? "");
    const bytes = await readFile(table);
    const at = bytes.indexOf("second");
    await writeFile(table, bytes.fill(0xa5, at, at + 48));
    const damage =
      /damaged {2}\d+\.ldb at byte 0: a block fails its checksum \(held .*records between "!ahead" and "\w"\)/;
    const verified = await orchestra("verify", folder);
    expect(verified).toMatchObject({ code: 4, out: expect.stringMatching(damage) });
    expect(verified.out).toMatch(/session first, record h\/first: it is missing.*\n {9}all 4 commits are there/);
    const repaired = await orchestra("repair", folder, "--copy", `${folder}-repaired`);
    expect(repaired).toMatchObject({ code: 4, out: expect.stringMatching(damage) });
    expect(repaired.out).toMatch(/saved {4}session first: 4 .*\n {9}perhaps lost: commits behind 4, if there were any/);
  });

  it("copies a good store whole", async () => {
    const copy = `${whole}-copy`;
    onTestFinished(() => rm(copy, { recursive: true, force: true }));
    expect(await orchestra("repair", whole, "--copy", copy)).toMatchObject({
      code: 0,
      out: expect.stringContaining("nothing was lost"),
    });
  });

  it("refuses a copy that holds something, or lies inside the original, and one that is not named", async () => {
    const refused = { code: 2, err: expect.stringContaining("ORCH_BAD_OPTION") };
    expect(await orchestra("repair", whole, "--copy", import.meta.dirname)).toMatchObject(refused);
    expect(await orchestra("repair", whole, "--copy", join(whole, "inside"))).toMatchObject(refused);
    expect(await orchestra("repair", whole, "--copy", whole)).toMatchObject(refused);
    expect(await orchestra("repair", whole)).toMatchObject({ code: 2 });
    expect(await readdir(whole)).not.toContain("inside");
  });
});
