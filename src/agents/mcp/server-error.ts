// Server error: what went wrong between us and an MCP server.

import { OrchestraError } from "../../base/errors.ts";

interface Detail {
  readonly cause?: unknown;
  /** Another connection may do better. */
  readonly retryable?: boolean;
}

export function serverError(server: string, what: string, { cause, retryable = false }: Detail = {}): OrchestraError {
  const error = new OrchestraError("ORCH_TOOL_SERVER", `MCP server "${server}": ${what}`, {
    cause,
    details: { server },
  });
  return retryable ? Object.assign(error, { retryable }) : error;
}
