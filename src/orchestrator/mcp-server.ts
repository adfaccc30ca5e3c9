// MCP server: an orchestrator's tools for whoever speaks the Model Context Protocol, over standard streams or HTTP.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";

import type { JsonSchemaValidatorResult, jsonSchemaValidator } from "@modelcontextprotocol/server";

import { systemClock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { silentLogger } from "../base/logger.ts";
import { optionalPackage } from "../base/optional-package.ts";
import { orchestratorTools } from "./mcp-tools.ts";
import type { Orchestrator } from "./orchestrator.ts";

const PACKAGE = "@modelcontextprotocol/server";
type Sdk = typeof import("@modelcontextprotocol/server");

export interface McpServerHandle {
  /** Of an HTTP server. */
  readonly url?: string;
  close(): Promise<void>;
}

export interface McpServerOptions {
  readonly version?: string;
  readonly logger?: Logger;
}

export interface McpHttpServerOptions extends McpServerOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Default 127.0.0.1: this machine only. There is no authentication: whoever reaches it may start runs. */
  readonly address?: string;
  /** Host names by which it may be asked, against rebinding of names. Default: those of this machine. */
  readonly hosts?: readonly string[];
}

/** Serves on this process's standard input and output, which then must carry nothing else. @throws {OrchestraError} `ORCH_PACKAGE_MISSING` */
export async function serveMcpStdio(
  orchestrator: Orchestrator,
  options: McpServerOptions = {},
): Promise<McpServerHandle> {
  const sdk = await loadSdk();
  const { serveStdio } = await import("@modelcontextprotocol/server/stdio");
  const { logger = silentLogger } = options;
  return serveStdio(() => serverOf(sdk, orchestrator, options), {
    onerror: (error) => logger.warn({ error: error.message }, "mcp: a request could not be served"),
  });
}

/** Serves at `/mcp`. @throws {OrchestraError} `ORCH_PACKAGE_MISSING`; the system's error when the port cannot be had. */
export async function serveMcpHttp(
  orchestrator: Orchestrator,
  options: McpHttpServerOptions,
): Promise<McpServerHandle> {
  const sdk = await loadSdk();
  const { logger = silentLogger, port, address = "127.0.0.1" } = options;
  const hosts = [...(options.hosts ?? sdk.localhostAllowedHostnames())];
  const handler = sdk.createMcpHandler(() => serverOf(sdk, orchestrator, options), {
    onerror: (error) => logger.warn({ error: error.message }, "mcp: a request could not be served"),
  });
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      logger.warn({ error: String(error) }, "mcp: a request could not be served");
      response.destroy();
    });
  });
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = requestOf(request, response);
    const isElsewhere = new URL(asked.url).pathname !== "/mcp";
    const refused = sdk.hostHeaderValidationResponse(asked, hosts) ?? sdk.originValidationResponse(asked, hosts);
    const answer = isElsewhere ? new Response(null, { status: 404 }) : (refused ?? (await handler.fetch(asked)));
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body === null) response.end();
    // A client that goes away in mid-answer is nobody's failure.
    else await pipeline(Readable.fromWeb(answer.body as ReadableStream), response).catch(() => undefined);
  }
  server.listen(port, address);
  await once(server, "listening");
  const at = server.address() as AddressInfo;
  return {
    url: `http://${at.family === "IPv6" ? `[${at.address}]` : at.address}:${at.port}/mcp`,
    async close() {
      await handler.close();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const ACCEPTS_ALL: jsonSchemaValidator = {
  getValidator<T>() {
    return (input: unknown): JsonSchemaValidatorResult<T> => ({
      valid: true,
      data: input as T,
      errorMessage: undefined,
    });
  },
};

function loadSdk(): Promise<Sdk> {
  return optionalPackage(PACKAGE, () => import("@modelcontextprotocol/server"));
}

function serverOf(
  sdk: Sdk,
  orchestrator: Orchestrator,
  { version = "0" }: McpServerOptions,
): InstanceType<Sdk["McpServer"]> {
  const server = new sdk.McpServer({ name: "orchestra", version });
  const clock = systemClock();
  for (const tool of orchestratorTools(orchestrator, () => clock.nowMs())) {
    const { name, description, readOnly } = tool;
    const wanted = sdk.fromJsonSchema<Record<string, unknown>>(tool.inputSchema);
    // The package answers input that does not fit by a line of text; a tool answers everything in its own form.
    const inputSchema = sdk.fromJsonSchema<Record<string, unknown>>(tool.inputSchema, ACCEPTS_ALL);
    server.registerTool(name, { description, inputSchema, annotations: { readOnlyHint: readOnly } }, async (input) => {
      const { issues } = await wanted["~standard"].validate(input);
      const answer =
        issues === undefined
          ? await tool.call(input)
          : tool.refuse(input, issues.map(({ message }) => message).join("; "));
      return { content: [{ type: "text", text: JSON.stringify(answer) }], isError: !answer.success };
    });
  }
  return server;
}

function requestOf(request: IncomingMessage, response: ServerResponse): Request {
  const { method = "GET", headers, url = "/" } = request;
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const body = method === "GET" || method === "HEAD" ? null : Readable.toWeb(request);
  return new Request(new URL(url, `http://${headers.host ?? "localhost"}`), {
    method,
    headers: Object.entries(headers).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]],
    ),
    body,
    signal: gone.signal,
    ...(body !== null && { duplex: "half" }),
  } as RequestInit);
}
