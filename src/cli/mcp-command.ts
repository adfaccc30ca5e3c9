// `mcp`: an orchestrator served to clients of the Model Context Protocol, until they go or a signal ends it.

import { serveMcpHttp, serveMcpStdio } from "../orchestrator/index.ts";
import { EXIT } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { orchestratorOf, type OrchestrateFlags } from "./orchestrate-start.ts";
import { versionOf } from "./package-version.ts";
import { levelLogger, loadParts } from "./session-options.ts";

export interface McpFlags extends OrchestrateFlags {
  readonly http?: number;
  readonly address?: string;
}

const DRAIN_MS = 10_000;

export async function mcpCommand(file: string, flags: McpFlags, io: Io): Promise<number> {
  const parts = await loadParts(file, flags, io);
  let code: number = EXIT.ok;
  let stopped = (): void => {};
  const ended = new Promise<void>((resolve) => (stopped = resolve));
  const stop = io.onSignal((signal) => {
    code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
    stopped();
  });
  const { orchestrator, close } = await orchestratorOf(parts, flags, io);
  try {
    const logger = flags.log === undefined ? undefined : await levelLogger(flags.log);
    const options = { version: versionOf("orchestra") ?? "0", ...(logger !== undefined && { logger }) };
    const { http, address } = flags;
    const server =
      http === undefined
        ? await serveMcpStdio(orchestrator, options)
        : await serveMcpHttp(orchestrator, { ...options, port: http, ...(address !== undefined && { address }) });
    if (server.url !== undefined) io.err(`mcp: ${server.url}`);
    // A client on standard streams is gone when its end closes.
    else io.stdin.once("close", stopped).once("end", stopped);
    await ended;
    await server.close();
    await orchestrator.instance.drain({ timeoutMs: DRAIN_MS });
    return code;
  } finally {
    stop();
    await close();
  }
}
