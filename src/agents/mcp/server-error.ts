// Server error: what went wrong between us and an MCP server.

import { OrchestraError } from "../../base/errors.ts";

interface Detail {
  readonly cause?: unknown;
  /** Another connection may do better. */
  readonly retryable?: boolean;
  /** The server knows nothing of the session the call was made in. */
  readonly sessionGone?: boolean;
}

export function serverError(
  server: string,
  what: string,
  { cause, retryable = false, sessionGone = false }: Detail = {},
): OrchestraError {
  const error = new OrchestraError("ORCH_TOOL_SERVER", `MCP server "${server}": ${what}`, {
    cause,
    details: { server, ...(sessionGone && { sessionGone }) },
  });
  return retryable ? Object.assign(error, { retryable }) : error;
}
