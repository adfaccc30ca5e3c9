// Connection: one MCP server, started or reached, through the official SDK. The only file that knows it.

import type { Client, Tool as ListedTool, Transport } from "@modelcontextprotocol/client";

import { OrchestraError, isOrchestraError } from "../../base/errors.ts";
import { optionalPackage } from "../../base/optional-package.ts";
import type { SecretMask } from "../command/secret-mask.ts";
import { EndpointGuard } from "../remote/endpoint-guard.ts";
import { boundedFetch } from "./bounded-fetch.ts";
import { DEFAULT_MESSAGE_BYTES_MAX, isHttp, type McpServerOptions } from "./options.ts";
import { causeWithoutSecrets, maskOf } from "./secrets.ts";
import { serverError } from "./server-error.ts";
import { stderrTail } from "./stderr-tail.ts";

export type { ListedTool };

/** A part of a tool's result. */
export interface ResultPart {
  readonly type: string;
  readonly text?: string;
}

export interface CallResult {
  readonly content: readonly ResultPart[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean | undefined;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  onProgress(progress: unknown): void;
}

export interface Connection {
  /** Of the server process. */
  readonly pid: number | undefined;
  list(signal: AbortSignal): Promise<readonly ListedTool[]>;
  call(tool: string, input: unknown, options: CallOptions): Promise<CallResult>;
  close(): Promise<void>;
}

export interface ConnectionListener {
  onClosed(): void;
  onToolsChanged(): void;
}

/** Its own limit is ours, given by a signal; the SDK's would be another. */
const NO_LIMIT_MS = 2_147_483_647;
const PACKAGE = "@modelcontextprotocol/client";

/** @throws {OrchestraError} `ORCH_TOOL_SERVER`, `ORCH_PACKAGE_MISSING`; the reason of `signal` */
export async function connect(
  server: string,
  options: McpServerOptions,
  listener: ConnectionListener,
  signal: AbortSignal,
): Promise<Connection> {
  const sdk = await optionalPackage(PACKAGE, () => import("@modelcontextprotocol/client"));
  const mask = maskOf(options);
  const { transport, lastWords, pid } = await transportTo(sdk, options, mask);
  const client = new sdk.Client(
    { name: "orchestra", version: "1" },
    {
      // A process would be started twice to find out which protocol it speaks; all of them speak the older one.
      versionNegotiation: { mode: isHttp(options) ? "auto" : "legacy" },
      listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => listener.onToolsChanged() } },
    },
  );
  client.onclose = () => listener.onClosed();
  const failed = (what: string, error: unknown): Error => translated({ sdk, server, mask }, what, error, lastWords());
  try {
    await client.connect(transport, { signal, timeout: NO_LIMIT_MS });
  } catch (error) {
    await client.close().catch(() => undefined);
    signal.throwIfAborted();
    throw failed(isHttp(options) ? "it cannot be reached" : `"${options.command}" cannot be started`, error);
  }
  return connectionOver(client, pid, mask, failed);
}

function connectionOver(
  client: Client,
  pid: () => number | undefined,
  mask: SecretMask,
  failed: (what: string, error: unknown) => Error,
): Connection {
  return {
    get pid() {
      return pid();
    },
    async list(signal) {
      try {
        return (await client.listTools(undefined, { signal, timeout: NO_LIMIT_MS, cacheMode: "refresh" })).tools;
      } catch (error) {
        signal.throwIfAborted();
        throw failed("its list of tools cannot be read", error);
      }
    },
    async call(name, input, { signal, onProgress }) {
      try {
        const args = input as Record<string, unknown>;
        const result = await client.callTool(
          { name, arguments: args },
          { signal, timeout: NO_LIMIT_MS, onprogress: onProgress },
        );
        return result.isError === true ? withoutSecrets(mask, result) : result;
      } catch (error) {
        signal.throwIfAborted();
        throw failed(`the call of "${name}" came to nothing`, error);
      }
    },
    close: () => client.close(),
  };
}

/** An error, whose texts become a message of ours. */
function withoutSecrets(mask: SecretMask, result: CallResult): CallResult {
  return { isError: true, content: mask.maskValue(result.content) as readonly ResultPart[] };
}

type Sdk = typeof import("@modelcontextprotocol/client");

async function transportTo(sdk: Sdk, options: McpServerOptions, mask: SecretMask) {
  const bytesMax = options.messageBytesMax ?? DEFAULT_MESSAGE_BYTES_MAX;
  if (isHttp(options)) {
    const url = new URL(options.url);
    const { headers = {}, allow = [] } = options;
    const fetch = boundedFetch({ url, bytesMax, guard: new EndpointGuard({ allow }) });
    const transport = new sdk.StreamableHTTPClientTransport(url, { fetch, requestInit: { headers: { ...headers } } });
    endWithStream(transport);
    return { transport, lastWords: () => "", pid: () => undefined };
  }
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const { command, args = [], env = {}, cwd } = options;
  const transport = new StdioClientTransport({
    command,
    args: [...args],
    env: { ...env },
    ...(cwd !== undefined && { cwd }),
    stderr: "pipe",
    maxBufferSize: bytesMax,
  });
  const lastWords = transport.stderr === null ? () => "" : stderrTail(transport.stderr, mask);
  return { transport, lastWords, pid: () => transport.pid ?? undefined };
}

/** The SDK leaves a request open whose answer's stream ended without it: it is answered with an error in its place. */
function endWithStream(transport: Transport): void {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    const { id } = message as { id?: string | number };
    if (id === undefined || !("method" in message)) return send(message, options);
    const error = { code: STREAM_ENDED, message: "the stream ended, or could not be read on, before the answer came" };
    return send(message, {
      ...options,
      onRequestStreamEnd: () => transport.onmessage?.({ jsonrpc: "2.0", id, error }),
    });
  };
}

/** Of those that JSON-RPC 2.0 leaves to implementations (section 5.1). */
const STREAM_ENDED = -32_098;

interface Translation {
  readonly sdk: Sdk;
  readonly server: string;
  readonly mask: SecretMask;
}

/** What the SDK threw, as an error of ours: the server's own refusal of a call, or what is wrong with the server. */
function translated({ sdk, server, mask }: Translation, what: string, error: unknown, lastWords: string): Error {
  const ours = refusedByUs(error);
  if (ours !== undefined) return ours;
  const message = mask.mask(error instanceof Error ? error.message : String(error));
  if (isRefusal(sdk, error))
    return new OrchestraError("ORCH_TOOL_FAILED", `MCP server "${server}": ${message}`, { details: { server } });
  const said = lastWords === "" ? "" : `; it last said: ${lastWords}`;
  return serverError(server, `${what}: ${message}${said}`, {
    cause: causeWithoutSecrets(mask, error),
    retryable: isConnectionLost(sdk, error) || hasStatus(error, SESSION_GONE),
    sessionGone: hasStatus(error, SESSION_GONE),
  });
}

/** The endpoint guard's word, which the SDK wraps. */
function refusedByUs(error: unknown): OrchestraError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (isOrchestraError(cause)) return cause;
  return undefined;
}

/** By the server; the SDK's own check of a result against its schema throws the same. */
function isRefusal(sdk: Sdk, error: unknown): boolean {
  if (!(error instanceof sdk.ProtocolError) || error.code === STREAM_ENDED) return false;
  return !/output ?schema|structured content/i.test(error.message);
}

const SESSION_GONE = 404;

export function isSessionGone(error: unknown): boolean {
  return isOrchestraError(error, "ORCH_TOOL_SERVER") && error.details["sessionGone"] === true;
}

function hasStatus(error: unknown, status: number): boolean {
  return error instanceof Error && "status" in error && error.status === status;
}

function isConnectionLost(sdk: Sdk, error: unknown): boolean {
  if (error instanceof sdk.ProtocolError) return error.code === STREAM_ENDED;
  if (!(error instanceof sdk.SdkError)) return false;
  const { ConnectionClosed, NotConnected, SendFailed } = sdk.SdkErrorCode;
  return [ConnectionClosed, NotConnected, SendFailed].some((code) => code === error.code);
}
