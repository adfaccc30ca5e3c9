// MCP servers: those of one program, by name. Each is started once, on first use, and shared; all end with `close`.

import { OrchestraError } from "../../base/errors.ts";
import type { Tool, ToolSource } from "../tools/tool.ts";
import { McpServer, type McpServerPorts } from "./mcp-server.ts";
import type { McpServerOptions } from "./options.ts";

export class McpServers implements ToolSource, AsyncDisposable {
  readonly #servers: ReadonlyMap<string, McpServer>;

  /** Starts nothing. @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(servers: Readonly<Record<string, McpServerOptions>>, ports: McpServerPorts = {}) {
    this.#servers = new Map(
      Object.entries(servers).map(([name, options]) => [name, new McpServer(name, options, ports)]),
    );
  }

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` for a name that is none of them */
  server(name: string): McpServer {
    const server = this.#servers.get(name);
    if (server !== undefined) return server;
    const known = [...this.#servers.keys()].join(", ");
    throw new OrchestraError("ORCH_BAD_OPTION", `McpServers: no server "${name}"; expected one of ${known}`);
  }

  /** The tools of all of them. @throws as `McpServer.tools`, for the first that fails */
  async tools(signal?: AbortSignal): Promise<readonly Tool[]> {
    const lists = await Promise.all([...this.#servers.values()].map((server) => server.tools(signal)));
    return lists.flat();
  }

  /** Ends all servers. Idempotent. @throws {AggregateError} what went wrong in ending them */
  async close(): Promise<void> {
    const ended = await Promise.allSettled([...this.#servers.values()].map((server) => server.close()));
    const errors = ended.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
    if (errors.length > 0) throw new AggregateError(errors, "some MCP servers did not end as they should");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
