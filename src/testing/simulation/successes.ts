// Successes: what the runs that were asked for came to, and whether enough of them completed.

import type { RunEnd } from "../../actors/session-state.ts";

/** Runs that ended alike without completing. */
export interface FailedRuns {
  readonly status: "failed" | "cancelled";
  readonly terminalReason: RunEnd["terminalReason"];
  readonly code: string;
  readonly node: string | null;
  /** Of the first of them. */
  readonly message: string;
  readonly runs: number;
  /** Of all runs that ended, 0 to 1. */
  readonly share: number;
}

/** Counts the runs of a campaign by what they ended in. Nested runs do not count: they are not what was asked for. */
export class Successes {
  #ended = 0;
  #completed = 0;
  readonly #failed = new Map<string, Omit<FailedRuns, "share">>();

  add({ status, terminalReason, error }: RunEnd): void {
    this.#ended++;
    if (status === "completed") {
      this.#completed++;
      return;
    }
    const { code = "", message = "", node = null } = error ?? {};
    const key = JSON.stringify([status, terminalReason, code, node]);
    const known = this.#failed.get(key) ?? { status, terminalReason, code, node, message, runs: 0 };
    this.#failed.set(key, { ...known, runs: known.runs + 1 });
  }

  /** The most frequent first. */
  failures(): readonly FailedRuns[] {
    return [...this.#failed.values()]
      .map((one) => ({ ...one, share: one.runs / this.#ended }))
      .sort((a, b) => b.runs - a.runs);
  }

  /**
   * What is wrong when fewer runs completed than `shareMin` of them, 0 to 1; when it is undefined, when none did.
   * Undefined when all is well.
   */
  complaint(shareMin: number | undefined): string | undefined {
    if (this.#ended === 0) return undefined;
    const enough = shareMin === undefined ? this.#completed > 0 : this.#completed / this.#ended >= shareMin;
    if (enough) return undefined;
    const expected = shareMin === undefined ? "at least one" : `at least ${percent(shareMin)}`;
    const failures = this.failures()
      .slice(0, FAILURES_SHOWN)
      .map(
        ({ status, code, node, message, share }) =>
          `${percent(share)} ${status}${node === null ? "" : ` at ${node}`}: ${code}: ${message}`,
      );
    return `${this.#completed} of ${this.#ended} runs completed, expected ${expected} (successShareMin); ${failures.join("; ")}`;
  }
}

const FAILURES_SHOWN = 5;

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`;
}
