// One runtime behind three doors: the same run begun in code, on the command line and by a client of the Model Context
// Protocol tells the same.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { beforeAll, describe, expect, it } from "vitest";
import { createOrchestrator, scriptedBackend, serveMcpHttp, type OrchestratorEvent } from "orchestra/orchestrator";
import { MAIN, place } from "../cli/command-line.ts";
import { ensureBuilt } from "../package/project.ts";
import { until } from "../support/nats.ts";

beforeAll(ensureBuilt);
const at = place();
const store = ["--store", "./state"];

/** Its tests pass from the second iteration on. */
const TEAM = `
import { writeFileSync } from "node:fs";
export const agents = { Fixer: ({ iteration }) => { writeFileSync("n.txt", String(iteration)); return "fixed " + iteration; } };
export const orchestrator = { commands: { tests: [process.execPath, "check.mjs"] } };
`;
const CHECK = `import { readFileSync } from "node:fs";
if (Number(readFileSync("n.txt", "utf8")) < 2) { console.log("still red"); process.exit(1); }`;
const POLICY = { maxIterations: 4, successCriteria: { tests: true } } as const;

function told(events: readonly OrchestratorEvent[]): unknown[] {
  return events.map(({ seq, type, payload }) => ({ seq, type, payload }));
}

function lines(text: string): OrchestratorEvent[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as OrchestratorEvent);
}

async function mcp(args: readonly string[]): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [MAIN, ...args], cwd: at.folder }));
  return client;
}

async function call(client: Client, name: string, args: Record<string, unknown> = {}): Promise<any> {
  const { content } = await client.callTool({ name, arguments: args });
  const [first] = content;
  if (first?.type !== "text") throw new Error(`${name} answered with no text`);
  return JSON.parse(first.text);
}

describe("the same run", () => {
  it("tells the same through code, the command line and MCP", async () => {
    at.file("team.mjs", TEAM);
    at.file("check.mjs", CHECK);
    const cwd = at.folder;

    await using orchestrator = createOrchestrator({
      agents: {
        Fixer: ({ iteration }: { iteration: number }) => {
          writeFileSync(join(cwd, "n.txt"), String(iteration));
          return `fixed ${iteration}`;
        },
      },
      commands: { tests: [process.execPath, "check.mjs"] },
    });
    const { runId, result } = orchestrator.startRun({ description: "Mend it", cwd, loopPolicy: POLICY });
    expect(await result).toMatchObject({ reason: "converged", iterations: 2 });
    const inCode = told(await orchestrator.getRunEvents(runId));

    const started = at.start([
      "orchestrate",
      "start",
      "team.mjs",
      "-t",
      "Mend it",
      "--tests",
      "--max-iterations",
      "4",
      "--json",
      ...store,
    ]);
    const ended = await started.ended;
    expect(ended).toMatchObject({ code: 0 });
    const inShell = lines(ended.out);
    expect(told(inShell)).toEqual(inCode);

    const client = await mcp(["mcp", "team.mjs", ...store]);
    const begun = await call(client, "task_orchestrate", { task: "Mend it", ...POLICY });
    expect(begun).toMatchObject({
      success: true,
      task: "Mend it",
      runId: expect.any(String),
      timestamp: expect.any(String),
    });
    await until(
      "the run has ended",
      async () => (await call(client, "run_status", { runId: begun.runId })).status.finished,
    );
    expect(told((await call(client, "run_events", { runId: begun.runId })).events)).toEqual(inCode);
    // It sees the run of the command line, too: the store is the same.
    expect((await call(client, "swarm_status")).runs).toHaveLength(2);
    expect(await call(client, "run_cancel", { runId: begun.runId })).toMatchObject({
      success: false,
      error: { code: "ORCH_SESSION_STATE" },
    });
    expect(await call(client, "task_orchestrate", { task: "" })).toMatchObject({
      success: false,
      error: { code: "ORCH_BAD_OPTION" },
    });
    await client.close();

    const looked = await at.call(["orchestrate", "events", inShell[0]!.runId, "--json", ...store]);
    expect(lines(looked.out)).toEqual(inShell);
    const status = await at.call(["orchestrate", "status", inShell[0]!.runId, ...store]);
    expect(status.out).toMatch(/ {2}completed {2}100 % {2}iteration 2 {2}converged\n$/);
  });
});

describe("a run on the command line", () => {
  it("is looked at and cancelled from another process", async () => {
    at.file(
      "team.mjs",
      `export const agents = { Slow: (_, { signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve)) };`,
    );
    const { child, ended, says } = at.start([
      "orchestrate",
      "start",
      "team.mjs",
      "-t",
      "wait",
      "--run",
      "slow",
      ...store,
    ]);
    await says("iteration 1 of 5");
    expect((await at.call(["orchestrate", "status", ...store])).out).toMatch(
      /^slow {2}running {2}0 % {2}iteration 1\n$/,
    );
    expect((await at.call(["orchestrate", "cancel", "slow", ...store])).out).toBe("run slow was cancelled\n");
    expect(await ended).toMatchObject({ code: 1, err: expect.stringContaining("cancelled after 0 iterations") });
    expect(child.exitCode).toBe(1);
    expect(await at.call(["orchestrate", "cancel", "slow", ...store])).toMatchObject({ code: 1 });
    expect(await at.call(["orchestrate", "status", "nobody", ...store])).toMatchObject({
      code: 2,
      err: expect.stringContaining("ORCH_SESSION_UNKNOWN"),
    });
  });

  it("is interrupted, and goes on where it stood", async () => {
    at.file(
      "team.mjs",
      `import { existsSync } from "node:fs";
       export const agents = { Waits: ({ iteration }, { signal }) => existsSync("go") ? "done " + iteration
         : new Promise((resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))) };`,
    );
    const { child, ended, says } = at.start([
      "orchestrate",
      "start",
      "team.mjs",
      "-t",
      "wait",
      "--run",
      "twice",
      ...store,
    ]);
    await says("iteration 1 of 5");
    child.kill("SIGINT");
    await says("SIGINT");
    child.kill("SIGINT");
    expect((await ended).code).toBe(130);
    writeFileSync(join(at.folder, "go"), "");
    const again = await at.start(["orchestrate", "resume", "team.mjs", "twice", ...store]).ended;
    expect(again).toMatchObject({
      code: 0,
      out: "done 1\n",
      err: expect.stringContaining("converged after 1 iteration"),
    });
  });
});

describe("MCP by HTTP", () => {
  it("serves the tools to this machine, and refuses other names of it", async () => {
    await using orchestrator = createOrchestrator({ agents: { A: () => "a" }, backend: scriptedBackend({}) });
    const server = await serveMcpHttp(orchestrator, { port: 0 });
    try {
      const client = new Client({ name: "test", version: "1" });
      await client.connect(new StreamableHTTPClientTransport(new URL(server.url!)));
      const { tools } = await client.listTools();
      expect(tools.map(({ name }) => name)).toEqual([
        ...[
          "task_orchestrate",
          "run_status",
          "run_cancel",
          "run_events",
          "run_artifacts",
          "swarm_status",
          "agent_list",
        ],
      ]);
      expect(await call(client, "agent_list")).toMatchObject({ success: true, agents: ["A"] });
      await client.close();
      const { request } = await import("node:http");
      const asked = request(server.url!, { method: "POST", headers: { host: "evil.example" } }).end("{}");
      const [response] = (await once(asked, "response")) as [{ statusCode: number }];
      expect(response.statusCode).toBe(403);
    } finally {
      await server.close();
    }
  });
});
