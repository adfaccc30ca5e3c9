// MCP server options: how a server is started or reached, and what is thought of its tools.

import { OrchestraError } from "../../base/errors.ts";
import { EndpointGuard } from "../remote/endpoint-guard.ts";
import { assertHeaders } from "../remote/remote-options.ts";
import type { ToolPolicy } from "../tools/tool.ts";

interface McpToolOptions {
  /** Stands before the server's own names of its tools. Default: the server's name and `_`. */
  readonly prefix?: string;
  /** Tools that are taken, by the server's own names. Default: all. */
  readonly only?: readonly string[];
  /** One for all of its tools, or some by the server's own names. Default: by their annotations. */
  readonly policy?: ToolPolicy | Readonly<Record<string, ToolPolicy>>;
  /** `false`: what the server says of its tools (read-only, idempotent…) counts for nothing. Default true. */
  readonly trustAnnotations?: boolean;
  /** Limit of one call, in milliseconds; `false` for none but the step's own. Default 60,000. */
  readonly timeoutMs?: number | false;
  /** Limit of starting or reaching the server and reading its list of tools, in milliseconds. Default 30,000. */
  readonly startTimeoutMs?: number;
  /** Largest message of the server, in bytes; a larger one ends the connection. Default 10 MiB. */
  readonly messageBytesMax?: number;
}

/** A server that is a process, spoken to over its standard input and output. */
export interface McpStdioOptions extends McpToolOptions {
  /** Run without a shell. */
  readonly command: string;
  readonly args?: readonly string[];
  /** Beside `HOME`, `LOGNAME`, `PATH`, `SHELL`, `TERM` and `USER`, which it always has; nothing else is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A server reached by streamable HTTP. */
export interface McpHttpOptions extends McpToolOptions {
  readonly url: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Hosts beyond the public internet that may be called, as of `remoteAgent`: names, addresses and blocks. Default: none. */
  readonly allow?: readonly string[];
}

export type McpServerOptions = McpStdioOptions | McpHttpOptions;

export const DEFAULT_START_TIMEOUT_MS = 30_000;
export const DEFAULT_MESSAGE_BYTES_MAX = 10 * 1024 * 1024;

const COMMON = ["prefix", "only", "policy", "trustAnnotations", "timeoutMs", "startTimeoutMs", "messageBytesMax"];
const STDIO = new Set(["command", "args", "env", "cwd", ...COMMON]);
const HTTP = new Set(["url", "headers", "allow", ...COMMON]);
const NAME = /^[\w-]{1,32}$/;
const PREFIX = /^[\w-]{0,40}$/;
const POLICIES: readonly unknown[] = ["allow", "approve", "block"] satisfies ToolPolicy[];

export function isHttp(options: McpServerOptions): options is McpHttpOptions {
  return "url" in options;
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertServerOptions(name: string, options: McpServerOptions): void {
  if (!NAME.test(name)) refuse("the name of a server", "1 to 32 letters, digits, _ or -", name);
  const at = (field: string): string => `server "${name}": ${field}`;
  if (typeof options !== "object" || options === null) refuse(at("options"), "an object", options);
  const http = isHttp(options);
  if (http === "command" in options) refuse(at("options"), "either command or url", options);
  const known = http ? HTTP : STDIO;
  for (const key of Object.keys(options)) if (!known.has(key)) refuse(at(key), `one of ${[...known].join(", ")}`, key);
  if (http) {
    assertUrl(at("url"), options.url);
    assertHeaders(`McpServers: server "${name}"`, options.headers ?? {});
    new EndpointGuard({ allow: options.allow ?? [] });
  } else if (typeof options.command !== "string" || options.command === "")
    refuse(at("command"), "a program", options.command);

  const { prefix, policy, timeoutMs, startTimeoutMs, messageBytesMax } = options;
  if (prefix !== undefined && !PREFIX.test(prefix)) refuse(at("prefix"), "at most 40 letters, digits, _ or -", prefix);
  const policies = typeof policy === "object" ? Object.values(policy) : [policy ?? "allow"];
  for (const one of policies) if (!POLICIES.includes(one)) refuse(at("policy"), `one of ${POLICIES.join(", ")}`, one);
  if (timeoutMs !== undefined && timeoutMs !== false && !(timeoutMs > 0))
    refuse(at("timeoutMs"), "milliseconds above 0, or false", timeoutMs);
  if (startTimeoutMs !== undefined && !(startTimeoutMs > 0))
    refuse(at("startTimeoutMs"), "milliseconds above 0", startTimeoutMs);
  if (messageBytesMax !== undefined && !(messageBytesMax >= 1024))
    refuse(at("messageBytesMax"), "bytes from 1,024", messageBytesMax);
}

function assertUrl(what: string, given: string | URL): void {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    refuse(what, "an http or https address", "text that is none");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") refuse(what, "an http or https address", url.protocol);
  // It would stand in every message that names the address.
  if (url.username !== "" || url.password !== "") refuse(what, "an address without credentials; use headers", "some");
}

function refuse(what: string, expected: string, found: unknown): never {
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `McpServers: ${what}: expected ${expected}, got ${typeof found === "object" ? "an object" : JSON.stringify(found)}`,
  );
}
