import { afterEach, describe, expect, it } from "vitest";

import { McpServers } from "../../../src/agents/index.ts";
import type { McpServerOptions, Tool } from "../../../src/agents/index.ts";
import { Orchestra } from "../../../src/index.ts";

let servers: McpServers | undefined;
afterEach(() => servers?.close());

/** A server process that answers each method by an expression over `id` and `params`; what gives undefined is not answered. */
function speaks(answers: Record<string, string>, before = ""): McpServerOptions {
  const cases = Object.entries(answers).map(([method, answer]) => `if (method === "${method}") return ${answer};`);
  const program = `
    ${before}
    const init = { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "h", version: "1" } };
    const big = (n) => "x".repeat(n);
    const answer = (method, params) => { ${cases.join("\n")} if (method === "initialize") return init; };
    require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
      const { id, method, params } = JSON.parse(line);
      const result = answer(method, params);
      if (id !== undefined && result !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
    });`;
  return { command: process.execPath, args: ["-e", program] };
}

function using(options: McpServerOptions): McpServers {
  return (servers = new McpServers({ h: options }));
}

const ONE = `{ tools: [{ name: "one", inputSchema: { type: "object" }, annotations: { readOnlyHint: true } }] }`;

describe("an MCP server that misbehaves", () => {
  it.each<[string, McpServerOptions, RegExp]>([
    ["does not exist", { command: "/no/such/program" }, /cannot be started.*ENOENT/],
    [
      "ends at once",
      { command: process.execPath, args: ["-e", "console.error('bad token', process.env.TOKEN); process.exit(3)"] },
      /cannot be started.*bad token/s,
    ],
    ["never answers", { ...speaks({ initialize: "undefined" }), startTimeoutMs: 400 }, /took longer than 400 ms/],
    ["lists what is no list", speaks({ "tools/list": `{ tools: "all" }` }), /its list of tools cannot be read/],
    ["lists tools without a schema", speaks({ "tools/list": `{ tools: [{ name: "one" }] }` }), /cannot be read/],
    [
      "lists one name twice",
      speaks({
        "tools/list": `{ tools: ["a b", "a_b"].map((name) => ({ name, inputSchema: { type: "object" } })) }`,
      }),
      /two of its tools come to be named "h_a_b"/,
    ],
    [
      "lists too many tools",
      speaks({
        "tools/list": `{ tools: [...Array(1001).keys()].map((n) => ({ name: "t" + n, inputSchema: { type: "object" } })) }`,
      }),
      /1001 tools; expected at most 1000/,
    ],
    [
      "lists tools page after page",
      speaks({ "tools/list": `{ tools: [], nextCursor: String(Math.random()) }` }),
      /read/,
    ],
    [
      "lists too much",
      speaks({
        "tools/list": `{ tools: [{ name: "one", description: big(5e6), inputSchema: { type: "object" } }] }`,
      }),
      /list of tools is above/,
    ],
    [
      "sends a message above the limit",
      { ...speaks({ "tools/list": `{ tools: [], junk: big(20000) }` }), messageBytesMax: 10_000 },
      /its list of tools cannot be read/,
    ],
  ])("and %s is refused", async (_, options, message) => {
    await expect(using(options).tools()).rejects.toMatchObject({
      code: expect.stringMatching(/^ORCH_(TOOL_SERVER|TIMEOUT)$/),
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ["what is no content", `{ content: "text" }`, "ORCH_TOOL_SERVER"],
    ["parts of unknown kinds", `{ content: [{ type: "hologram" }] }`, "ORCH_TOOL_SERVER"],
    ["a message above the limit", `{ content: [{ type: "text", text: big(2e5) }] }`, "ORCH_TOOL_SERVER"],
  ])("answers a call by %s", async (_, answer, code) => {
    const options = speaks({ "tools/list": ONE, "tools/call": answer });
    const [one] = await using({ ...options, messageBytesMax: 100_000 }).tools();
    const result = await Orchestra.run({
      task: {},
      topology: { nodes: ["T"], edges: [] },
      agents: { T: one as Tool },
      executionConfig: { retry: { transient: { maxAttempts: 1 } } },
    });
    expect(result.error?.code).toBe(code);
  });

  it("keeps a server that prints beside the protocol", async () => {
    const options = speaks({ "tools/list": ONE }, "console.log('listening');");
    expect(await using(options).tools()).toMatchObject([{ name: "h_one" }]);
  });

  it("repeats no secret it was given in an error", async () => {
    const says = "console.error('token is ' + process.env.TOKEN + '!'); process.exit(1)";
    const options = { command: process.execPath, args: ["-e", says], env: { TOKEN: "sk-very-secret" } };
    const error: Error = await using(options)
      .tools()
      .then(
        () => expect.unreachable(),
        (thrown: Error) => thrown,
      );
    expect(error.message).toMatch(/token is ███!/);
    expect(JSON.stringify([error, error.message, error.cause])).not.toContain("sk-very-secret");
  });
});

describe("what a user says of a server", () => {
  const three = (options: object): McpServers =>
    using({
      ...speaks({
        "tools/list": `{ tools: ["look", "drop", "x".repeat(70)].map((name) => ({
          name, inputSchema: { type: "object" }, annotations: { readOnlyHint: name === "look" } })) }`,
      }),
      ...options,
    });

  it.each<[object, Record<string, string>]>([
    [{}, { h_look: "allow", h_drop: "approve" }],
    [{ trustAnnotations: false }, { h_look: "approve", h_drop: "approve" }],
    [{ policy: "block" }, { h_look: "block", h_drop: "block" }],
    [{ policy: { drop: "allow" } }, { h_look: "allow", h_drop: "allow" }],
    [{ prefix: "", only: ["drop"] }, { drop: "approve" }],
  ])("decides the names and policies of its tools: %j", async (options, expected) => {
    const tools = await three(options).tools();
    expect(Object.fromEntries(tools.map(({ name, policy }) => [name, policy]))).toMatchObject(expected);
    for (const { name } of tools) expect(name).toMatch(/^[\w-]{1,64}$/);
  });

  it.each<[string, unknown]>([
    ["neither command nor url", {}],
    ["both command and url", { command: "x", url: "http://localhost" }],
    ["an unknown option", { command: "x", retry: 3 }],
    ["an address of another protocol", { url: "file:///etc/passwd" }],
    ["an address with credentials", { url: "https://me:pass@host/mcp" }],
    ["an unknown policy", { command: "x", policy: "ask" }],
    ["a time limit of 0", { command: "x", timeoutMs: 0 }],
  ])("is refused where it is %s", (_, options) => {
    expect(() => new McpServers({ h: options as McpServerOptions })).toThrow(
      expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.not.stringContaining("pass@") }),
    );
  });
});
