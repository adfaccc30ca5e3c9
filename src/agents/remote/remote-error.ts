// Remote error: what the other side of a call said, or what became of it, in the terms that retries go by.

import { OrchestraError, type OrchestraErrorOptions } from "../../base/errors.ts";

const MESSAGE_LENGTH_MAX = 2_000;

export interface RemoteFailure extends OrchestraErrorOptions {
  /** The code that the other side gave; `agent_error` where it gave none. */
  readonly remoteCode: string;
  readonly status?: number;
  /** The same call may do better. Default: by `status`, and else by `cause`. */
  readonly retryable?: boolean;
  /** How long the other side asks to wait before. */
  readonly retryAfterMs?: number;
}

/** A remote agent failed, or could not be heard to its end. */
export class RemoteAgentError extends OrchestraError {
  override readonly name = "RemoteAgentError";
  readonly remoteCode: string;
  declare readonly status?: number;
  declare readonly retryable?: boolean;
  declare readonly retryAfterMs?: number;

  constructor(message: string, { remoteCode, status, retryable, retryAfterMs, details, cause }: RemoteFailure) {
    super("ORCH_REMOTE_FAILED", cut(message), {
      details: { remoteCode, ...(status !== undefined && { status }), ...details },
      ...(cause !== undefined && { cause }),
    });
    this.remoteCode = remoteCode;
    if (status !== undefined) this.status = status;
    if (retryable !== undefined) this.retryable = retryable;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

function cut(text: string): string {
  return text.length <= MESSAGE_LENGTH_MAX ? text : `${text.slice(0, MESSAGE_LENGTH_MAX - 1)}…`;
}
