import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { McpServers } from "../../../src/agents/index.ts";
import type { Tool } from "../../../src/agents/index.ts";
import { Orchestra } from "../../../src/index.ts";
import { childProgram } from "../../support/child-program.ts";

const CHILD = await childProgram(new URL("./server-child.ts", import.meta.url));

let folder = "";
let log = "";
let servers: McpServers;
let tools: Record<string, Tool> = {};

// One process serves the whole file, which is what it is for; each test says what it leaves behind.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "orchestra-mcp-"));
  log = join(folder, "log");
  const args = [CHILD, log];
  servers = new McpServers({ bench: { command: process.execPath, args, env: { TOKEN: "a-secret" } } });
  expect(existsSync(log)).toBe(false);
  const [first, again] = await Promise.all([servers.tools(), servers.tools()]);
  expect(again).toEqual(first);
  tools = byName(first);
});
afterAll(async () => {
  const pid = await servers.server("bench").pid();
  await servers.close();
  await servers.close();
  if (pid !== undefined) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  await expect(servers.tools()).rejects.toMatchObject({ code: "ORCH_CLOSED" });
  await rm(folder, { recursive: true, force: true });
});

const byName = (list: readonly Tool[]): Record<string, Tool> =>
  Object.fromEntries(list.map((tool) => [tool.name.replace(/^bench_/, ""), tool]));

const node = (tool: string, task: Record<string, unknown> = {}): Parameters<typeof Orchestra.run>[0] => ({
  task,
  topology: { nodes: [{ name: "T", kind: "tool" }], edges: [] },
  agents: { T: tools[tool] as Tool },
  communicationConfig: { channel: "none" },
});
const run = (tool: string, task?: Record<string, unknown>) => Orchestra.run(node(tool, task));

const noted = async (): Promise<string[]> => (await readFile(log, "utf8")).trim().split("\n");
const starts = async (): Promise<number> => (await noted()).filter((line) => line.startsWith("started")).length;

describe("the tools of an MCP server process", () => {
  it("are read from one process for everybody", async () => {
    expect(await starts()).toBe(1);
  });

  it("have a prefixed name, a schema, and a policy by their annotations", () => {
    expect(tools["echo"]).toMatchObject({
      name: "bench_echo",
      description: "says it again",
      policy: "allow",
      idempotent: true,
      inputJsonSchema: { type: "object", properties: { say: { type: "string" } }, required: ["say"] },
    });
    expect(tools["add"]).toMatchObject({ policy: "allow", idempotent: true });
    expect(tools["delete"]).toMatchObject({ policy: "approve", idempotent: false });
  });

  it.each([
    ["echo", { say: "hi" }, "hi"],
    ["add", { a: 1, b: 2 }, { sum: 3 }],
    [
      "picture",
      {},
      [
        { type: "text", text: "a dot" },
        { type: "image", data: "AAAA", mimeType: "image/png" },
      ],
    ],
  ])("run at a node: %s", async (tool, task, expected) => {
    expect((await run(tool, task)).orThrow().finalResponse).toEqual(expected);
  });

  it("are not called with what does not fit their schema", async () => {
    const { error } = await run("echo", { say: 7 });
    expect(error).toMatchObject({ code: "ORCH_INVALID_INPUT", message: expect.stringMatching(/"bench_echo".*say/) });
  });

  it("fail with what the server says", async () => {
    const { error } = await run("fail");
    expect(error).toMatchObject({ code: "ORCH_TOOL_FAILED", message: 'the tool "bench_fail" failed: no such row' });
  });

  it("ask before they do what cannot be undone", async () => {
    const result = await run("delete", { name: "row" });
    expect(result.metadata.questions).toMatchObject([
      { prompt: { kind: "approval", tool: "bench_delete", input: { name: "row" } } },
    ]);
    expect(await noted()).not.toContain("deleted row");
  });

  it("see nothing of this process's environment but what they are given", async () => {
    process.env["ORCHESTRA_TEST_HIDDEN"] = "hidden";
    const seen = JSON.parse((await run("env")).orThrow().getFinalResponseAsText()) as Record<string, string>;
    delete process.env["ORCHESTRA_TEST_HIDDEN"];
    expect(seen).toMatchObject({ TOKEN: "a-secret", PATH: expect.any(String) });
    expect(seen).not.toHaveProperty("ORCHESTRA_TEST_HIDDEN");
  });

  it("fail without repeating a secret their server was given", async () => {
    const { error } = await run("leak");
    expect(error).toMatchObject({ code: "ORCH_TOOL_FAILED", message: expect.stringContaining("denied for") });
    expect(JSON.stringify(error)).not.toContain("a-secret");
  });

  it("show their progress, and are told when their run is cancelled", async () => {
    const controller = new AbortController();
    const handle = Orchestra.stream({ ...node("wait"), signal: controller.signal });
    for await (const event of handle) {
      if (event.type !== "step.chunk") continue;
      expect(event.chunk).toMatchObject({ tool: "bench_wait", chunk: { progress: 1, total: 2 } });
      controller.abort();
    }
    expect((await handle.result).status).toBe("cancelled");
    await expect.poll(noted).toContain("cancelled");
  });

  it("end at their time limit", async () => {
    const hasty: Tool = { ...(tools["wait"] as Tool), timeoutMs: 50 };
    const { error } = await Orchestra.run({ ...node("wait"), agents: { T: hasty } });
    expect(error).toMatchObject({ code: "ORCH_TIMEOUT" });
  });

  it("may not answer without end", async () => {
    const { error } = await run("huge", { bytes: 2 * 1024 * 1024 });
    expect(error).toMatchObject({ code: "ORCH_PAYLOAD_TOO_LARGE" });
    expect((await run("huge", { bytes: 1000 })).orThrow().getFinalResponseAsText()).toHaveLength(1000);
  });

  it("are read again after the server said that they changed", async () => {
    expect(tools).not.toHaveProperty("grown");
    (await run("grow")).orThrow();
    await expect.poll(async () => byName(await servers.tools())).toHaveProperty("grown");
    expect(await starts()).toBe(1);
  });

  it("run in a new process after theirs died, and a call that died with it is told", async () => {
    const before = await starts();
    const attempts = { executionConfig: { retry: { transient: { maxAttempts: 1 } } } };
    const { error } = await Orchestra.run({ ...node("die"), ...attempts });
    expect(error).toMatchObject({ code: "ORCH_TOOL_SERVER", message: expect.stringMatching(/^MCP server "bench"/) });
    expect((await run("echo", { say: "again" })).orThrow().finalResponse).toBe("again");
    expect(await starts()).toBe(before + 1);
  });
});
