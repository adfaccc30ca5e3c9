// MCP server
//
// Owns:      the connection to one server: when it is made, when it is made anew, when it ends.
// Does not:  decide whether a tool may run (its policy does), or repeat a call: whether it had its effect is not known here.
//
// M1  It is connected on first use, once for everybody who uses it at that moment.
// M2  A connection that ended is used no more; the next use makes another. So is one by HTTP that failed in any way. What
//     is still called in it is waited for.
// M3  Its list of tools is read once per connection, and again after it said that it changed.

import { systemClock, type Clock } from "../../base/clock.ts";
import { OrchestraError, isOrchestraError } from "../../base/errors.ts";
import { silentLogger, type Logger } from "../../base/logger.ts";
import { NEVER_ABORTED, timeLimited } from "../tools/time-limit.ts";
import type { Tool, ToolContext, ToolSource } from "../tools/tool.ts";
import { connect, isSessionGone, type CallResult, type Connection } from "./connection.ts";
import { DEFAULT_START_TIMEOUT_MS, assertServerOptions, isHttp, type McpServerOptions } from "./options.ts";
import { serverTools } from "./server-tools.ts";

export interface McpServerPorts {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

interface Link {
  readonly opened: Promise<Connection>;
  tools: Promise<readonly Tool[]> | undefined;
  calls: number;
  dropped: boolean;
}

export class McpServer implements ToolSource {
  readonly name: string;
  readonly options: McpServerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  #link: Link | undefined;

  /** Starts nothing. @throws {OrchestraError} `ORCH_BAD_OPTION` */
  constructor(name: string, options: McpServerOptions, { clock, logger }: McpServerPorts = {}) {
    assertServerOptions(name, options);
    this.name = name;
    this.options = Object.freeze({ ...options });
    this.#clock = clock ?? systemClock();
    this.#logger = (logger ?? silentLogger).child({ mcpServer: name });
  }

  /**
   * Its tools, after it was started or reached if need be.
   *
   * @throws {OrchestraError} `ORCH_TOOL_SERVER`, `ORCH_TIMEOUT`, `ORCH_PACKAGE_MISSING`, `ORCH_CLOSED`
   */
  async tools(signal: AbortSignal = NEVER_ABORTED): Promise<readonly Tool[]> {
    const link = this.#linked();
    link.tools ??= this.#read(link);
    return unlessAborted(link.tools, signal);
  }

  /** Calls a tool by the server's own name for it. @throws as `tools`, and `ORCH_TOOL_FAILED` */
  async call(tool: string, input: unknown, ctx: Pick<ToolContext, "signal" | "emit">): Promise<CallResult> {
    try {
      return await this.#callOnce(tool, input, ctx);
    } catch (error) {
      // The server forgot the session and did nothing; it asks for a new one (MCP specification, session management).
      if (!isSessionGone(error)) throw error;
      return this.#callOnce(tool, input, ctx);
    }
  }

  /** Of the process, while it runs. */
  async pid(): Promise<number | undefined> {
    return (await this.#link?.opened)?.pid;
  }

  /** Ends the server process, or the session with it. What is called in it fails. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(new OrchestraError("ORCH_CLOSED", `MCP server "${this.name}" is closed`));
    const link = this.#link;
    this.#link = undefined;
    const connection = await link?.opened.catch(() => undefined);
    await connection?.close();
  }

  async #callOnce(tool: string, input: unknown, { signal, emit }: Pick<ToolContext, "signal" | "emit">) {
    const link = this.#linked();
    link.calls++;
    try {
      const connection = await unlessAborted(link.opened, signal);
      return await connection.call(tool, input, { signal, onProgress: emit });
    } catch (error) {
      if (isHttp(this.options) && isOrchestraError(error, "ORCH_TOOL_SERVER")) this.#drop(link);
      throw error;
    } finally {
      link.calls--;
      if (link.dropped) this.#closeIdle(link);
    }
  }

  #linked(): Link {
    this.#closing.signal.throwIfAborted();
    return (this.#link ??= this.#open());
  }

  #open(): Link {
    const listener = {
      onClosed: () => {
        if (this.#link === link) this.#logger.warn({}, "an MCP server ended; it is started again when it is used");
        this.#drop(link);
      },
      onToolsChanged: () => {
        link.tools = undefined;
      },
    };
    const opened = this.#timed((signal) => connect(this.name, this.options, listener, signal));
    const link: Link = { opened, tools: undefined, calls: 0, dropped: false };
    opened.then(
      ({ pid }) => this.#logger.info({ pid }, "an MCP server was connected"),
      () => this.#drop(link),
    );
    return link;
  }

  async #read(link: Link): Promise<readonly Tool[]> {
    try {
      const connection = await link.opened;
      return serverTools(this, await this.#timed((signal) => connection.list(signal)));
    } catch (error) {
      this.#drop(link);
      throw error;
    }
  }

  #timed<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { startTimeoutMs = DEFAULT_START_TIMEOUT_MS } = this.options;
    const what = `connecting to MCP server "${this.name}"`;
    return timeLimited({ what, limitMs: startTimeoutMs, signal: this.#closing.signal, clock: this.#clock }, work);
  }

  #drop(link: Link): void {
    if (this.#link === link) this.#link = undefined;
    link.dropped = true;
    this.#closeIdle(link);
  }

  #closeIdle(link: Link): void {
    if (link.calls === 0) link.opened.then((connection) => connection.close()).catch(() => undefined);
  }
}

/** Others may wait for the same; only this one stops waiting. */
async function unlessAborted<T>(awaited: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
  });
  return Promise.race([awaited, aborted]).finally(() => signal.removeEventListener("abort", stop));
}
