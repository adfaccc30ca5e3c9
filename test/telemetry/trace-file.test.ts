import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { Orchestra, type Logger, type RunEvent } from "orchestra";
import { traceFile } from "orchestra/telemetry";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "orchestra-trace-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const linesOf = (path: string): Record<string, unknown>[] =>
  readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const event = (seq: number): RunEvent => ({ seq, at: 1, sessionId: "s", runId: "r", type: "run.resumed" });

function heard(): Logger & { readonly said: string[] } {
  const said: string[] = [];
  const hear = (_: unknown, message: string): void => void said.push(message);
  const logger = { said, debug: hear, info: hear, warn: hear, error: hear, child: () => logger };
  return logger;
}

describe("traceFile", () => {
  it("has every event of a run on a line of its own, in order, and goes on in the same file", async () => {
    const path = join(folder, "deep/trace.jsonl");
    for (const task of ["one\ntwo", "three"]) {
      await using trace = traceFile(path);
      const run = Orchestra.stream({
        task,
        topology: { nodes: ["A", "B"], edges: ["A -> B"] },
        agents: { A: (x, ctx) => (ctx.emit("chunk"), { x, big: 2n ** 40n, bytes: new Uint8Array([1]) }), B: () => "b" },
        observers: [trace],
      });
      const seen: unknown[] = [];
      for await (const { type, seq } of run) if (type !== "step.chunk") seen.push([type, seq]);
      await run.result;
      await trace.flush();
      const lines = linesOf(path);
      expect(lines.slice(-seen.length).map(({ type, seq }) => [type, seq])).toEqual(seen);
      expect(lines.at(-1)).toMatchObject({ type: "run.completed", sessionId: run.sessionId });
      expect(trace.lost).toBe(0);
    }
    expect(linesOf(path).filter(({ type }) => type === "run.started")).toHaveLength(2);
  });

  it("writes chunks where it is told to", async () => {
    const path = join(folder, "trace.jsonl");
    await using trace = traceFile(path, { chunks: true });
    await Orchestra.run({
      task: "t",
      topology: { nodes: ["A"], edges: [] },
      agents: { A: (_, ctx) => ctx.emit("piece") },
      observers: [trace],
    });
    await trace.flush();
    expect(linesOf(path)).toContainEqual(expect.objectContaining({ type: "step.chunk", chunk: "piece" }));
  });

  it("lets runs go on while the disk is full, says so, and counts what is lost", async () => {
    const logger = heard();
    const trace = traceFile("/dev/full", { logger, bufferBytesMax: 400 });
    const result = await Orchestra.run({
      task: "t",
      topology: { nodes: ["A"], edges: [] },
      agents: { A: () => "a" },
      observers: [trace],
    });
    expect(result.success).toBe(true);
    await trace.flush();
    expect(trace.failure).toMatchObject({ code: "ENOSPC" });
    expect(trace.lost).toBeGreaterThan(0);
    const lostBefore = trace.lost;
    await trace.close();
    expect(trace.lost).toBeGreaterThan(lostBefore);
    for (const said of ["cannot be written", "loses events", "is closed with events"])
      expect(logger.said.filter((line) => line.includes(said))).toHaveLength(1);
  });

  it("writes what waited once it can, and says in the file what was lost", async () => {
    writeFileSync(join(folder, "in-the-way"), "");
    const logger = heard();
    const path = join(folder, "in-the-way/trace.jsonl");
    await using trace = traceFile(path, { logger, bufferBytesMax: 200 });
    for (let seq = 1; seq <= 10; seq++) trace.observe(event(seq));
    await trace.flush();
    expect(trace.failure).toBeDefined();
    rmSync(join(folder, "in-the-way"));
    await trace.flush();
    expect(trace.failure).toBeUndefined();
    trace.observe(event(11));
    await trace.flush();
    const kept = 10 - trace.lost;
    expect(linesOf(path).map(({ type, seq, events }) => (type === "trace.lost" ? { events } : seq))).toEqual([
      ...Array.from({ length: kept }, (_, i) => i + 1),
      { events: trace.lost },
      11,
    ]);
    expect(logger.said.at(-1)).toContain("can be written again");
  });

  it("leaves whole lines only, when the disk is full in the midst of one and when a process died in one", async () => {
    const path = join(folder, "trace.jsonl");
    const script = `
      import { spawnSync } from "node:child_process";
      import { traceFile } from ${JSON.stringify(new URL("../../src/telemetry/trace-file.ts", import.meta.url).href)};
      process.on("SIGXFSZ", () => undefined);
      // From here on a file may have 1,024 bytes.
      spawnSync("prlimit", ["--pid", String(process.pid), "--fsize=1024"]);
      const trace = traceFile(${JSON.stringify(path)}, { logger: { debug() {}, info() {}, warn() {}, error() {}, child() { return this; } } });
      for (let seq = 0; seq < 100; seq++) {
        trace.observe({ seq, at: 1, sessionId: "s", runId: "r", type: "run.resumed" });
        await trace.flush();
      }
      console.log(trace.failure?.code);
      process.exit(0);`;
    writeFileSync(join(folder, "child.ts"), script);
    const { stdout, stderr } = spawnSync(process.execPath, ["--import", "jiti/register", join(folder, "child.ts")], {
      encoding: "utf8",
    });
    expect([stdout.trim(), stderr]).toEqual(["EFBIG", ""]);
    const whole = readFileSync(path, "utf8");
    expect(whole.endsWith("}\n")).toBe(true);
    expect(linesOf(path).map(({ seq }) => seq)).toEqual(linesOf(path).map((_, i) => i));
    writeFileSync(path, `${whole}{"half": "a l`);
    await using trace = traceFile(path);
    trace.observe(event(500));
    await trace.flush();
    expect(readFileSync(path, "utf8")).toMatch(/\{"half": "a l\n\{"seq":500,.*\}\n$/);
  });

  it("loses no line where two write to one file", async () => {
    const path = join(folder, "trace.jsonl");
    await using one = traceFile(path);
    await using other = traceFile(path);
    for (let seq = 1; seq <= 50; seq++) {
      for (const trace of [one, other]) trace.observe(event(seq));
      await Promise.all(seq % 10 === 0 ? [one.flush(), other.flush()] : []);
    }
    await Promise.all([one.flush(), other.flush()]);
    const seqs = linesOf(path).map(({ seq }) => Number(seq));
    expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => (i >> 1) + 1));
  });

  it("refuses bad options", () => {
    expect(() => traceFile("")).toThrow(/path: expected/);
    expect(() => traceFile("x", { bufferBytesMax: 0 })).toThrow(/bufferBytesMax: expected/);
  });
});
