// What an error of the NATS client means to whoever called us.

import { JetStreamApiError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";

/** Codes of the JetStream API, as in the server's `errors.json`. */
export const JS_CODE = {
  /** "JetStream not enabled for account" and "JetStream not enabled". */
  notEnabledForAccount: 10039,
  notEnabled: 10076,
  streamNotFound: 10059,
  consumerNotFound: 10014,
  messageNotFound: 10037,
  /** "wrong last sequence", and the same under contention in newer servers. */
  wrongLastSequence: 10071,
  wrongLastSequenceConstant: 10164,
  /** A message with this id is being stored: to be tried again, no duplicate yet. */
  duplicateInProcess: 10158,
  maxMessagesPerSubject: 10077,
  insufficientResources: 10023,
  /** "no suitable peers for placement", with why no server takes the stream. */
  noPeers: 10005,
} as const;

/** Also of a stream that is gone, once that has been told as ours. */
export function jsCode(error: unknown): number | undefined {
  const at = isOrchestraError(error, "ORCH_BUS_ASSETS") ? error.cause : error;
  return at instanceof JetStreamApiError ? at.code : undefined;
}

/** What the server said of a subject that these credentials may not use; the client wraps it for requests. */
export function violationIn(error: unknown): InstanceType<typeof errors.PermissionViolationError> | undefined {
  for (let one = error; one instanceof Error; one = one.cause)
    if (one instanceof errors.PermissionViolationError) return one;
  return undefined;
}

/** No server listens to the JetStream API. Raised for "no responders"; its class is not exported. */
export function isNobodyThere(error: unknown): boolean {
  return error instanceof Error && error.name === "JetStreamNotEnabled";
}

/** No answer, or one that says that nobody can answer now: it is not known whether anything happened. */
export function isUnanswered(error: unknown): boolean {
  if (violationIn(error) !== undefined) return false;
  // A message that was refused is told with 503, too, and is an answer.
  if (error instanceof JetStreamApiError) return error.status === 503 && error.code !== JS_CODE.maxMessagesPerSubject;
  return (
    error instanceof errors.TimeoutError ||
    error instanceof errors.NoRespondersError ||
    error instanceof errors.ClosedConnectionError ||
    error instanceof errors.DrainingConnectionError ||
    error instanceof errors.ConnectionError ||
    error instanceof errors.RequestError ||
    isNobodyThere(error)
  );
}

/** Too few servers of the cluster are known to be up: told for some seconds, too, after a cluster has started. */
export function isPeerOffline(error: unknown): boolean {
  return jsCode(error) === JS_CODE.noPeers && /peer offline/.test((error as Error).message);
}

/** The stream or the account has no room (`max_msgs`, `max_bytes`); told under the code of a subject that is taken. */
export function isFull(error: unknown): boolean {
  if (jsCode(error) === undefined) return false;
  return /maximum (messages|bytes) exceeded|insufficient|resource limits/.test((error as Error).message);
}

/** An error of the client as ours, with `what` was being done; any other as it is. */
export function busError(error: unknown, what: string): unknown {
  if (isOrchestraError(error)) return error;
  const violation = violationIn(error);
  if (violation !== undefined)
    return new OrchestraError(
      "ORCH_BUS_DENIED",
      `${what}: these credentials may not ${violation.operation === "publish" ? "publish to" : "subscribe to"} ` +
        `${violation.subject}; "orchestra nats permissions" prints what each role must be allowed`,
      { cause: error, details: { operation: violation.operation, subject: violation.subject } },
    );
  const code = jsCode(error);
  if (code === JS_CODE.notEnabled || code === JS_CODE.notEnabledForAccount)
    return new OrchestraError(
      "ORCH_BUS_SERVER",
      `${what}: JetStream is off for this account; set "jetstream: enabled" for it in the server's configuration`,
      { cause: error },
    );
  if (code === JS_CODE.streamNotFound)
    return new OrchestraError(
      "ORCH_BUS_ASSETS",
      `${what}: a stream is gone from NATS; "orchestra nats check" says which, "orchestra nats init" makes it anew, empty`,
      { cause: error },
    );
  if (code === JS_CODE.insufficientResources)
    return new OrchestraError(
      "ORCH_OVERLOADED",
      `${what}: NATS has no room (${(error as Error).message}); its disk, or "max_file_store" and "max_memory_store" ` +
        `of its configuration, bound what JetStream may hold`,
      { cause: error },
    );
  if (isPeerOffline(error))
    return new OrchestraError(
      "ORCH_BUS_UNREACHABLE",
      `${what}: too few servers of the cluster are up for its replicas (${(error as Error).message})`,
      { cause: error },
    );
  if (isUnanswered(error))
    return new OrchestraError("ORCH_BUS_UNREACHABLE", `${what}: no answer from NATS (${(error as Error).message})`, {
      cause: error,
    });
  return error;
}
