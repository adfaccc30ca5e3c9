// What importing and running does to the process around it.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { beforeEach, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const JITI = pathToFileURL(join(ROOT, "node_modules/jiti/lib/jiti-register.mjs")).href;
const INDEX = JSON.stringify(join(ROOT, "src/index.ts"));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-process-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

function program(code: string): Promise<{ code: number | null; out: string; err: string }> {
  const main = join(folder, "main.ts");
  writeFileSync(main, code);
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ["--import", JITI, main],
      { cwd: folder, timeout: 150_000, env: { PATH: process.env["PATH"] } },
      (_error, out, err) => resolve({ code: child.exitCode, out, err }),
    );
  });
}

it("importing the package reads no variable of ours, loads no database, exporter or logger, and lets the process end", async () => {
  const ended = await program(`
    import { createRequire } from "node:module";
    const read = [];
    process.env = new Proxy(process.env, { get: (env, name) => (read.push(String(name)), env[name]) });
    await import(${INDEX});
    const cache = Object.keys(createRequire(import.meta.url).cache);
    console.log(JSON.stringify({ ours: read.filter((name) => name.startsWith("ORCH")), loaded: ["classic-level", "prom-client", "/pino/"].filter((name) => cache.some((path) => path.includes(name))) }));`);
  expect(ended).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse(ended.out)).toEqual({ ours: [], loaded: [] });
});

it("a run with a store lets the process end by itself, and is there for the next process", async () => {
  const run = `
    import { LevelStorage, Orchestra, StateManager } from ${INDEX};
    const stateManager = new StateManager({ storage: new LevelStorage("./state"), autoSaveIntervalMs: 60_000 });
    const result = await Orchestra.run({ task: "x", topology: { nodes: ["A"] }, agents: { A: (_input, ctx) => ctx.session.runs.length }, sessionId: "s", stateManager });
    console.log(result.orThrow().finalResponse, result.metadata.durability);`;
  expect(await program(run)).toEqual({ code: 0, out: "0 disk\n", err: "" });
  expect(await program(run)).toEqual({ code: 0, out: "1 disk\n", err: "" });
});

it("a failed run that is not thrown leaves the process alive; one that is thrown fails the script", async () => {
  const run = (orThrow: string): string => `
    import { Orchestra } from ${INDEX};
    const result = await Orchestra.run({ task: "x", topology: { nodes: ["A"] }, agents: { A: () => { throw new Error("no luck"); } } });
    console.log(result${orThrow}.status);`;
  expect(await program(run(""))).toEqual({ code: 0, out: "failed\n", err: "" });
  expect(await program(run(".orThrow()"))).toMatchObject({ code: 1, out: "", err: expect.stringContaining("no luck") });
});

it("a killed process loses no step that was done: the next one goes on after it", async () => {
  const run = (begin: string): string => `
    import { LevelStorage, OrchestraInstance, StateManager } from ${INDEX};
    const stateManager = new StateManager({ storage: new LevelStorage("./state", { durability: "process" }) });
    const orchestra = new OrchestraInstance({
      stateManager,
      topology: { nodes: ["A", "B"], edges: ["A -> B"] },
      agents: { A: (x) => (console.log("A runs"), x + "a"), B: (x) => (process.env.KILL === undefined && ${begin === "execute"} ? process.kill(process.pid, "SIGKILL") : x + "b") },
    });
    const result = await ${begin === "execute" ? `orchestra.execute("x", { sessionId: "s" })` : `orchestra.resumeSession("s")`};
    console.log(result.orThrow().finalResponse);
    await orchestra.close();`;
  const killed = await program(run("execute"));
  expect(killed.out).toBe("A runs\n");
  expect(await program(run("resume"))).toEqual({ code: 0, out: "xab\n", err: "" });
});
