// Result value: what a tool of an MCP server answered, as the output of a tool.

import { OrchestraError } from "../../base/errors.ts";
import type { CallResult, ResultPart } from "./connection.ts";

/**
 * Its structured content where it has any, its text where it is nothing but text, else its parts as they came.
 *
 * @throws {OrchestraError} `ORCH_TOOL_FAILED` with its text, where it is an error
 */
export function resultValue(tool: string, { content, structuredContent, isError }: CallResult): unknown {
  const text = content.every(isText) ? content.map((part) => part.text).join("\n") : undefined;
  if (isError === true)
    throw new OrchestraError("ORCH_TOOL_FAILED", `the tool "${tool}" failed: ${text ?? JSON.stringify(content)}`);
  return structuredContent ?? text ?? content;
}

function isText(part: ResultPart): part is { readonly type: "text"; readonly text: string } {
  return part.type === "text" && typeof part.text === "string";
}
