// Tool: something an agent may have done for it, as data with a function. Made by `defineTool`, or read from an MCP server.

import type { Logger } from "../../base/logger.ts";
import type { MaybePromise, RunnableAgent } from "../../runtime/agent.ts";

/** A schema as models and MCP servers read it, draft 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** `allow`: runs. `approve`: a person is asked before each call. `block`: refused. */
export type ToolPolicy = "allow" | "approve" | "block";

export interface ToolContext {
  readonly sessionId: string;
  readonly runId: string;
  readonly stepId: string;
  readonly toolCallId: string;
  /** The same whenever this call is run again; for an outside system that takes such a key. */
  readonly idempotencyKey: string;
  /** Aborts when the step is stopped and when the tool's time is over. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Shows how far it is to live observers, as `{ type: "tool-progress", tool, toolCallId, chunk }`. */
  emit(chunk: unknown): void;
}

export interface Tool {
  readonly name: string;
  readonly description?: string;
  readonly policy: ToolPolicy;
  /** Running it twice does no more than running it once. */
  readonly idempotent: boolean;
  /** Limit of one call, in milliseconds; `false` for none but the step's own. Default 60,000. */
  readonly timeoutMs?: number | false;
  /** How long a person has to approve a call, in milliseconds; one that nobody approved by then is rejected. Default: no limit. */
  readonly approvalTimeoutMs?: number | false;
  readonly inputJsonSchema: JsonSchema;
  /** @throws {OrchestraError} `ORCH_INVALID_INPUT` */
  parseInput(input: unknown): MaybePromise<unknown>;
  run(input: unknown, ctx: ToolContext): unknown;
  /** What a node runs to which the tool was given as its agent: the tool under its policy, journalled. */
  toAgent(name: string): RunnableAgent;
}

/** Where tools come from that are not known before they are asked for, such as an MCP server. */
export interface ToolSource {
  tools(signal?: AbortSignal): Promise<readonly Tool[]>;
}
