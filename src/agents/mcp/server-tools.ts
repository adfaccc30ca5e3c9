// Server tools: the tools an MCP server lists, as tools of ours.

import { createHash } from "node:crypto";

import { copyValue } from "../../base/value.ts";
import { foreignInputSchema } from "../tools/input-schema.ts";
import { toolAgent } from "../tools/tool-agent.ts";
import type { Tool, ToolContext, ToolPolicy } from "../tools/tool.ts";
import type { CallResult, ListedTool } from "./connection.ts";
import type { McpServerOptions } from "./options.ts";
import { resultValue } from "./result-value.ts";
import { serverError } from "./server-error.ts";

const TOOLS_MAX = 1_000;
const LIST_BYTES_MAX = 4 * 1024 * 1024;
const NAME_LENGTH_MAX = 64;
const HASH_LENGTH = 8;

export interface ServerOfTools {
  readonly name: string;
  readonly options: McpServerOptions;
  call(tool: string, input: unknown, ctx: ToolContext): Promise<CallResult>;
}

/** @throws {OrchestraError} `ORCH_TOOL_SERVER` for a list that is too long, too large, or names one thing twice */
export function serverTools(server: ServerOfTools, listed: readonly ListedTool[]): readonly Tool[] {
  if (listed.length > TOOLS_MAX)
    throw serverError(server.name, `it lists ${listed.length} tools; expected at most ${TOOLS_MAX}`);
  try {
    copyValue(listed, { name: "tools", bytesMax: LIST_BYTES_MAX });
  } catch (error) {
    throw serverError(server.name, `its list of tools is above ${LIST_BYTES_MAX} bytes, or no plain data`, {
      cause: error,
    });
  }
  const { only } = server.options;
  const missing = only?.find((name) => !listed.some((tool) => tool.name === name));
  if (missing !== undefined) throw serverError(server.name, `it has no tool "${missing}", which "only" names`);
  const tools = listed.filter(({ name }) => only?.includes(name) ?? true).map((tool) => serverTool(server, tool));
  const twice = tools.find(({ name }, i) => tools.findIndex((tool) => tool.name === name) !== i);
  if (twice !== undefined) throw serverError(server.name, `two of its tools come to be named "${twice.name}"`);
  return tools;
}

function serverTool(server: ServerOfTools, listed: ListedTool): Tool {
  const { options } = server;
  const name = toolName(options.prefix ?? `${server.name}_`, listed.name);
  const schema = foreignInputSchema(name, listed.inputSchema);
  return Object.freeze({
    name,
    ...(listed.description !== undefined && { description: listed.description }),
    policy: policyOf(options, listed),
    idempotent: options.trustAnnotations !== false && isIdempotent(listed),
    ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    inputJsonSchema: schema.json,
    parseInput: schema.parse,
    run: async (input: unknown, ctx: ToolContext) => resultValue(name, await server.call(listed.name, input, ctx)),
    toAgent(this: Tool, node: string) {
      return toolAgent(this, {}, node);
    },
  });
}

/** What models take: other characters are `_`; one too long ends with a hash of itself. */
function toolName(prefix: string, listed: string): string {
  const name = `${prefix}${listed.replaceAll(/[^\w-]/g, "_")}`;
  if (name.length <= NAME_LENGTH_MAX) return name;
  const hash = createHash("sha256").update(listed).digest("hex").slice(0, HASH_LENGTH);
  return `${name.slice(0, NAME_LENGTH_MAX - HASH_LENGTH - 1)}_${hash}`;
}

function policyOf({ policy, trustAnnotations = true }: McpServerOptions, listed: ListedTool): ToolPolicy {
  if (typeof policy === "string") return policy;
  if (policy !== undefined && Object.hasOwn(policy, listed.name)) return policy[listed.name] as ToolPolicy;
  // Unsaid means destructive (MCP specification, ToolAnnotations).
  const { readOnlyHint = false, destructiveHint = true } = listed.annotations ?? {};
  return trustAnnotations && (readOnlyHint || !destructiveHint) ? "allow" : "approve";
}

function isIdempotent({ annotations: { readOnlyHint = false, idempotentHint = false } = {} }: ListedTool): boolean {
  return readOnlyHint || idempotentHint;
}
