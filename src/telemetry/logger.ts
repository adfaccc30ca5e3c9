// Logger: pino as Orchestra is meant to be run with it.

import type { DestinationStream } from "pino";

import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";

export interface LoggerOptions {
  /** "trace", "debug", "info", "warn", "error", "fatal" or "silent". Default "info". */
  readonly level?: string;
  /** Paths whose values show as "[redacted]", as pino takes them: `user.email`, `*.token`. Besides DEFAULT_REDACTED. */
  readonly redact?: readonly string[];
  /** On every line. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Default: standard error, written before the call returns, so that a crash loses no line. */
  readonly destination?: DestinationStream;
}

const SECRET_NAMES = [
  "apiKey",
  "api_key",
  "authorization",
  "cookie",
  "password",
  "secret",
  "token",
  "accessToken",
  "access_token",
];

/** What is not shown, at the top of a line's fields and up to two levels below. */
export const DEFAULT_REDACTED: readonly string[] = Object.freeze(
  SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `headers["${name}"]`]),
);

/**
 * A logger for the option `logger`. Every line that concerns a session has `sessionId`, those of agents also `runId`, `branchId`,
 * `stepId`, `attempt` and `node`.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` for a level or path that is none.
 */
export async function createLogger({
  level = "info",
  redact = [],
  fields,
  destination,
}: LoggerOptions = {}): Promise<Logger> {
  const { pino } = await import("pino");
  if (level !== "silent" && !(level in pino.levels.values))
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `createLogger: level: expected one of ${Object.keys(pino.levels.values).join(", ")} or silent, got ${JSON.stringify(level)}`,
    );
  try {
    const logger: Logger = pino(
      { level, base: fields ?? null, redact: { paths: [...DEFAULT_REDACTED, ...redact], censor: "[redacted]" } },
      destination ?? pino.destination({ dest: 2, sync: true }),
    );
    return logger;
  } catch (cause) {
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `createLogger: redact: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}
