// Exit codes: the one place that turns a result or an error into one.

import { isOrchestraError, type OrchestraResult } from "../index.ts";

export const EXIT = Object.freeze({
  ok: 0,
  /** The run failed or was cancelled; `diff`: the histories part; `doctor`, `nats check`: something is wrong. */
  failed: 1,
  /** What was asked for cannot be understood or cannot start: usage, file, topology, option, unknown session. */
  usage: 2,
  /** The run is paused or waits for a person; `resume` continues it. */
  waiting: 3,
  /** The store is locked, corrupt, of another version or failing, or who has it open cannot be spoken to; the bus likewise. */
  store: 4,
  /** A defect: something that carries no code of ours. */
  internal: 70,
  interrupted: 130,
  terminated: 143,
});

export const EXIT_CODES_HELP = `Exit codes:
  0    the run completed, or the command did what it says
  1    the run failed or was cancelled (diff: they part; doctor, nats check: something is wrong; upgrade-check: not every session passed)
  2    bad usage, file, topology, option or session
  3    the run is paused or waits for a person; "orchestra resume" continues it
  4    the store is locked, corrupt, of another version or failing, or who has it open cannot be spoken to; the bus likewise
  130  interrupted (Ctrl-C), 143 terminated; the session stays resumable in its store`;

export function exitCodeOfResult({ status }: Pick<OrchestraResult, "status">): number {
  switch (status) {
    case "completed":
      return EXIT.ok;
    case "paused":
    case "awaiting_user":
      return EXIT.waiting;
    default:
      return EXIT.failed;
  }
}

export function exitCodeOfError(error: unknown): number {
  if (!isOrchestraError(error)) return error instanceof UsageError ? EXIT.usage : EXIT.internal;
  return /^ORCH_(STORE_|BUS_|CONTROL$)/.test(error.code) ? EXIT.store : EXIT.usage;
}

/** Something about the command line or a file it names is wrong. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
