import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { McpServer, WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";

import { McpServers } from "../../../src/agents/index.ts";
import type { McpHttpOptions, Tool } from "../../../src/agents/index.ts";
import { errorToData } from "../../../src/base/error-data.ts";
import { Orchestra } from "../../../src/index.ts";
import type { OrchestraError } from "../../../src/index.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function listen(handler: Handler): Promise<string> {
  const server: Server = createServer((request, response) => void handler(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

function using(url: string, options: Partial<McpHttpOptions> = {}): McpServers {
  const servers = new McpServers({ web: { url, allow: ["127.0.0.1"], ...options } });
  open.push(() => servers.close());
  return servers;
}

const call = (tool: Tool | undefined, task: Record<string, unknown>) =>
  Orchestra.run({
    task,
    topology: { nodes: ["T"], edges: [] },
    agents: { T: tool as Tool },
    executionConfig: { retry: { transient: { maxAttempts: 1 } } },
  });

/** A real server with sessions; `forget` loses them all, as a restart would. */
function sessions() {
  const known = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const seen: IncomingMessage["headers"][] = [];
  let calls = 0;
  const handler: Handler = async (request, response) => {
    seen.push(request.headers);
    const body =
      request.method === "POST" ? await new Response(Readable.toWeb(request) as ReadableStream).text() : null;
    const id = request.headers["mcp-session-id"];
    let transport = typeof id === "string" ? known.get(id) : undefined;
    if (transport === undefined && id !== undefined) return void response.writeHead(404).end();
    if (transport === undefined) {
      const made = (transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (sessionId) => void known.set(sessionId, made),
      }));
      const server = new McpServer({ name: "web", version: "1" });
      server.registerTool("double", { inputSchema: z.object({ n: z.number() }) }, ({ n }) => {
        calls++;
        return { content: [{ type: "text", text: String(2 * n) }] };
      });
      await server.connect(made);
    }
    const { method = "GET" } = request;
    const headers = new Headers(Object.entries(request.headers).map(([key, value]) => [key, String(value)]));
    const answer = await transport.handleRequest(
      new Request(`http://${request.headers.host}/mcp`, { method, headers, body }),
    );
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body === null) response.end();
    else
      Readable.fromWeb(answer.body as never)
        .on("error", () => undefined)
        .pipe(response);
  };
  return { handler, seen, forget: () => known.clear(), calls: () => calls };
}

describe("an MCP server over HTTP", () => {
  it("has its tools called, with the headers it was given", async () => {
    const { handler, seen } = sessions();
    const servers = using(await listen(handler), { headers: { authorization: "Bearer t" }, policy: "allow" });
    const [double] = await servers.tools();
    expect((await call(double, { n: 21 })).orThrow().finalResponse).toBe("42");
    expect(seen.length).toBeGreaterThan(2);
    for (const headers of seen) expect(headers.authorization).toBe("Bearer t");
  });

  it("that forgot the session is given a new one, and the call is made once", async () => {
    const { handler, forget, calls } = sessions();
    const [double] = await using(await listen(handler), { policy: "allow" }).tools();
    forget();
    expect((await call(double, { n: 4 })).orThrow().finalResponse).toBe("8");
    expect(calls()).toBe(1);
  });

  it("is found again after it was away", async () => {
    const { handler } = sessions();
    let away = false;
    const url = await listen((request, response) => {
      if (away) request.socket.destroy();
      else return handler(request, response);
    });
    const [double] = await using(url, { policy: "allow" }).tools();
    away = true;
    expect((await call(double, { n: 4 })).error).toMatchObject({ code: "ORCH_TOOL_SERVER" });
    away = false;
    expect((await call(double, { n: 4 })).orThrow().finalResponse).toBe("8");
  });

  it("may not lead elsewhere", async () => {
    const asked: unknown[] = [];
    const inside = await listen((request, response) => {
      asked.push(request.url);
      response.end();
    });
    const url = await listen((_, response) => void response.writeHead(307, { location: inside }).end());
    await expect(using(url).tools()).rejects.toMatchObject({ code: "ORCH_TOOL_SERVER" });
    expect(asked).toEqual([]);
  });

  it.each(["application/json", "text/event-stream"])("may not answer without end as %s", async (type) => {
    let sent = 0;
    const url = await listen((_, response) => {
      response.writeHead(200, { "content-type": type });
      response.on("close", () => clearInterval(timer));
      const part = `data: ${"x".repeat(16_000)}\n`;
      const timer = setInterval(() => {
        sent += part.length;
        response.write(part);
      }, 1);
    });
    const servers = using(url, { messageBytesMax: 100_000, startTimeoutMs: 20_000 });
    await expect(servers.tools()).rejects.toMatchObject({ code: "ORCH_TOOL_SERVER" });
    expect(sent).toBeLessThan(20_000_000);
  });

  it("that ends its answer early has failed", async () => {
    const { handler } = sessions();
    let early = false;
    const url = await listen((request, response) => {
      if (!early || request.method !== "POST") return handler(request, response);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(": nothing\n\n");
    });
    const [double] = await using(url, { policy: "allow" }).tools();
    early = true;
    expect((await call(double, { n: 4 })).error).toMatchObject({
      code: "ORCH_TOOL_SERVER",
      message: expect.stringMatching(/the stream ended/),
    });
  });

  it.each([
    ["a page of a shop", 200, "text/html", "<html></html>"],
    ["no JSON", 200, "application/json", "{"],
    ["an error that repeats the token", 500, "text/plain", "oops s3cret-token"],
    ["a closed door", 401, "text/plain", "who is s3cret-token"],
  ])("that answers with %s is refused", async (_, status, type, body) => {
    const url = await listen(
      (_request, response) => void response.writeHead(status, { "content-type": type }).end(body),
    );
    const error: OrchestraError = await using(url, { headers: { authorization: "Bearer s3cret-token" } })
      .tools()
      .then(
        () => expect.unreachable(),
        (thrown: OrchestraError) => thrown,
      );
    expect(error.code).toBe("ORCH_TOOL_SERVER");
    expect(JSON.stringify(errorToData(error, { stack: true }))).not.toContain("s3cret");
  });

  it("on this machine or in its network is not asked unless it is listed", async () => {
    const { handler, seen } = sessions();
    const url = await listen(handler);
    for (const host of ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
      await expect(using(url.replace("127.0.0.1", host), { allow: [] }).tools()).rejects.toMatchObject({
        code: "ORCH_ENDPOINT_REFUSED",
      });
    expect(seen).toEqual([]);
  });
});
