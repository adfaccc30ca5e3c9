// Findings: what the checkers see that must not be.

/** What must hold after every event, and at the end. */
export const CHECKS = {
  S1: "commits are numbered without a hole, epochs and times never fall, and what was acknowledged is never lost or changed",
  S2: "every fact of a commit is legal in the state it was committed to",
  S3: "the end of an attempt is recorded at most once, as the first result said",
  S4: "a join fires once, with all that arrived, and only when its condition holds",
  S5: "the log, the live session, and a snapshot with what follows it come to the same state",
  S6: "nothing is done before the commit that asks for it",
  S7: "no step is offered while a run is paused, waits for people, or has ended",
  S8: "a run that has ended stays as it ended",
  S9: "no step is tried more often than its policy says",
  S10: "whoever asks for something is answered: with what was asked for, or with an error that has a code",
  L1: "once nothing goes wrong any more, every session comes to an end",
  L2: "no work is left when all have ended",
  L3: "a process that has closed leaves no timer, listener or call behind",
  success: "as many runs complete as was demanded",
  user: "the check that was handed in holds",
} as const;

export type Check = keyof typeof CHECKS;

export interface Finding {
  readonly check: Check;
  readonly message: string;
  /** Simulated milliseconds from the beginning. */
  readonly atMs: number;
  /** Events that had happened by then. */
  readonly event: number;
}
