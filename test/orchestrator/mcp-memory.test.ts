// Memory by the Model Context Protocol: its three tools, over standard streams and HTTP.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createMemory, type MemoryEntry } from "orchestra/memory";
import { createOrchestrator, serveMcpHttp, type IterationTask } from "orchestra/orchestrator";
import { place } from "../cli/command-line.ts";
import { until } from "../support/nats.ts";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./mcp-child.ts", import.meta.url));

const at = place();

interface Door {
  readonly client: Client;
  close(): Promise<void>;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const DOORS = {
  async "standard streams"(folder: string): Promise<Door> {
    const client = new Client({ name: "test", version: "1" });
    const transport = new StdioClientTransport({ command: process.execPath, args: [CHILD, folder] });
    await client.connect(transport);
    const { pid } = transport;
    return {
      client,
      async close() {
        await client.close();
        // Until then it has the folder.
        await until("the server has ended", () => pid === null || !isAlive(pid));
      },
    };
  },
  async HTTP(folder: string): Promise<Door> {
    const memory = createMemory({ folder });
    const orchestrator = createOrchestrator({ agents: { A: () => "a" }, memory });
    const server = await serveMcpHttp(orchestrator, { port: 0 });
    const client = new Client({ name: "test", version: "1" });
    await client.connect(new StreamableHTTPClientTransport(new URL(server.url!)));
    return {
      client,
      async close() {
        await client.close();
        await server.close();
        await orchestrator.close();
        await memory.close();
      },
    };
  },
};

async function call(client: Client, name: string, args: Record<string, unknown>): Promise<Record<string, any>> {
  const { content } = await client.callTool({ name, arguments: args });
  const [first] = content;
  if (first?.type !== "text") throw new Error(`${name} answered with no text`);
  return JSON.parse(first.text) as Record<string, any>;
}

const UNFIT: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ["memory_store", { value: 1 }, "key"],
  ["memory_store", { key: "k" }, "value"],
  ["memory_store", { key: "", value: 1 }, "key"],
  ["memory_store", { key: 5, value: 1 }, "key"],
  ["memory_store", { key: "k", value: 1, ttl: 0 }, "ttl"],
  ["memory_store", { key: "k", value: 1, ttl: "soon" }, "ttl"],
  ["memory_store", { key: "k", value: 1, other: 1 }, "additional properties"],
  ["memory_store", { key: "k".repeat(501), value: 1 }, "key"],
  ["memory_store", { key: "k", value: "x".repeat(300_000) }, "the limit is 262144"],
  ["memory_retrieve", {}, "key"],
  ["memory_search", {}, "pattern"],
  ["memory_search", { pattern: "x", limit: 0 }, "limit"],
  ["memory_search", { pattern: "x", limit: 1.5 }, "limit"],
  ["memory_search", { pattern: ["x"] }, "pattern"],
];

describe.each(Object.entries(DOORS))("memory by MCP over %s", (_name, openDoor) => {
  let door: Door;
  let folder: string;
  const tool = (name: string, args: Record<string, unknown>) => call(door.client, name, args);
  const keysOf = async (args: Record<string, unknown>): Promise<string[]> =>
    ((await tool("memory_search", args))["results"] as { key: string }[]).map(({ key }) => key);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "orchestra-mcp-"));
    door = await openDoor(folder);
  });
  afterEach(async () => {
    await door.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  it("stores a value, finds it again by its key and by what it says, in its namespace or in all", async () => {
    const stored = await tool("memory_store", { key: "build", value: "build with make", namespace: "howto" });
    expect(stored).toMatchObject({ success: true, key: "build", namespace: "howto", id: expect.any(String) });
    expect(new Date(stored["timestamp"] as string).toISOString()).toBe(stored["timestamp"]);
    await tool("memory_store", { key: "build", value: { with: "ninja" } });
    expect(await tool("memory_retrieve", { key: "build", namespace: "howto" })).toMatchObject({
      success: true,
      found: true,
      value: "build with make",
    });
    expect(await tool("memory_retrieve", { key: "build", namespace: "default" })).toMatchObject({
      value: { with: "ninja" },
    });
    expect(await tool("memory_retrieve", { key: "build", namespace: "other" })).toMatchObject({
      success: true,
      found: false,
    });
    const { results } = await tool("memory_search", { pattern: "how to make a build", namespace: "howto" });
    expect(results).toMatchObject([{ key: "build", namespace: "howto", value: "build with make" }]);
    expect(results[0].score).toBeGreaterThan(0);
    expect(await keysOf({ pattern: "build" })).toHaveLength(2);
    // Stored anew it replaces what was there.
    await tool("memory_store", { key: "build", value: "use cmake", namespace: "howto" });
    expect(await tool("memory_retrieve", { key: "build", namespace: "howto" })).toMatchObject({ value: "use cmake" });
  });

  it("takes a pattern with * for keys, everything else for what is said", async () => {
    for (const key of ["api/get", "api/put", "web.api/get", "API/get", "a+b", "otters", "a\nb"])
      await tool("memory_store", { key, value: `value of ${key}` });
    expect(await keysOf({ pattern: "api/*" })).toEqual(["api/get", "api/put"]);
    expect(await keysOf({ pattern: "*api/get" })).toEqual(["api/get", "web.api/get"]);
    expect(await keysOf({ pattern: "*.api/*" })).toEqual(["web.api/get"]);
    expect(await keysOf({ pattern: "a+*" })).toEqual(["a+b"]);
    expect(await keysOf({ pattern: "a*b" })).toEqual(["a+b", "a\nb"]);
    expect(await keysOf({ pattern: "ap*pi/get" })).toEqual([]);
    expect(await keysOf({ pattern: "*" })).toHaveLength(7);
    expect(await keysOf({ pattern: "*", limit: 3 })).toHaveLength(3);
    expect(await keysOf({ pattern: "*", namespace: "none" })).toEqual([]);
    expect((await keysOf({ pattern: "value of otters" }))[0]).toBe("otters");
    // Each star more must not make it take many times as long.
    await tool("memory_store", { key: "a".repeat(500), value: 1 });
    expect(await keysOf({ pattern: `${"*a".repeat(200)}*b` })).toEqual([]);
  });

  it("keeps for as long as it was told", async () => {
    const { id } = await tool("memory_store", { key: "soon", value: 1, ttl: 3_600 });
    await tool("memory_store", { key: "always", value: 1 });
    await door.close();
    await using memory = createMemory({ folder });
    const kept = await memory.get(id as string);
    expect((kept?.expiresAtMs ?? 0) - (kept?.createdAtMs ?? 0)).toBe(3_600_000);
    for await (const { key, expiresAtMs } of memory.list("global")) expect(expiresAtMs === null).toBe(key === "always");
  });

  it("answers what does not fit by what is wrong, and keeps nothing", async () => {
    for (const [name, args, what] of UNFIT)
      expect(await tool(name, args)).toMatchObject({
        success: false,
        error: { code: expect.stringMatching(/^ORCH_/), message: expect.stringContaining(what) },
        timestamp: expect.stringMatching(/Z$/),
      });
    expect(await keysOf({ pattern: "*" })).toEqual([]);
  });

  it("has the entries that code and the command line have", async () => {
    await door.close();
    {
      await using memory = createMemory({ folder });
      await memory.add([{ key: "by code", value: "prices are in cents" }], { scope: "global" });
    }
    door = await openDoor(folder);
    await tool("memory_store", { key: "by mcp", value: "prices have two digits" });
    expect(await keysOf({ pattern: "*" })).toEqual(["by code", "by mcp"]);
    await door.close();
    const listed = await at.call(["orchestrate", "memory", "list", "--global", "--json", "--memory", folder]);
    const found = await at.call(["orchestrate", "memory", "search", "cents", "--global", "--json", "--memory", folder]);
    await using memory = createMemory({ folder });
    const entries: MemoryEntry[] = [];
    for await (const entry of memory.list("global")) entries.push(entry);
    expect(entries.map(({ key }) => key)).toEqual(["by code", "by mcp"]);
    expect(JSON.parse(listed.out)).toEqual(entries);
    expect(JSON.parse(found.out)).toEqual(await memory.search("cents", { scope: "global" }));
    const seen: unknown[] = [];
    await using orchestrator = createOrchestrator({
      agents: { A: (task: IterationTask) => void seen.push(task.memory.map(({ key }) => key).toSorted()) },
      memory,
    });
    await orchestrator.startRun({ description: "prices", recall: 5 }).result;
    expect(seen).toEqual([["by code", "by mcp"]]);
  });
});
