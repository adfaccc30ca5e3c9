// Limits of a remote call: what one may cost in time and memory, whatever the other side does.

import { OrchestraError } from "../../base/errors.ts";

export interface RemoteLimits {
  /** The request that is sent. Default 16 MiB; a larger one is refused unsent with `ORCH_PAYLOAD_TOO_LARGE`. */
  readonly requestBytesMax: number;
  /** All of an answer. Default 64 MiB; beyond it the call fails with `ORCH_PAYLOAD_TOO_LARGE`. */
  readonly responseBytesMax: number;
  /** One event of the stream. Default 8 MiB; likewise. */
  readonly eventBytesMax: number;
  /** Events of one stream. Default 100_000; likewise. */
  readonly eventsMax: number;
}

export const DEFAULT_REMOTE_LIMITS: Readonly<RemoteLimits> = Object.freeze({
  requestBytesMax: 16 * 1024 * 1024,
  responseBytesMax: 64 * 1024 * 1024,
  eventBytesMax: 8 * 1024 * 1024,
  eventsMax: 100_000,
});
/** Of a whole call: a remote agent may think for long. */
export const DEFAULT_REMOTE_TIMEOUT_MS = 300_000;

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function resolveRemoteLimits(at: string, overrides: Partial<RemoteLimits> = {}): RemoteLimits {
  for (const [key, value] of Object.entries(overrides)) {
    if (!Object.hasOwn(DEFAULT_REMOTE_LIMITS, key) || !(Number.isSafeInteger(value) && value >= 1))
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `${at}.${key}: expected a whole number from 1 for one of ${Object.keys(DEFAULT_REMOTE_LIMITS).join(", ")}`,
      );
  }
  return { ...DEFAULT_REMOTE_LIMITS, ...overrides };
}

/** @throws {OrchestraError} `ORCH_PAYLOAD_TOO_LARGE` */
export function assertSize(what: string, size: number, sizeMax: number, unit = "bytes"): void {
  if (size <= sizeMax) return;
  throw new OrchestraError("ORCH_PAYLOAD_TOO_LARGE", `${what}: at least ${size} ${unit}, the limit is ${sizeMax}`, {
    details: { [unit]: size, [`${unit}Max`]: sizeMax },
  });
}
