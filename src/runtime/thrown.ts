// Thrown: what agents of this process threw in one session, as it was thrown. A log keeps of an error what is plain data;
// the error itself, with its stack, is handed to whoever this process tells of the run's end.

import type { ErrorData } from "../base/errors.ts";
import { errorToData } from "../base/error-data.ts";

interface Thrown {
  readonly node: string;
  readonly branchId: string;
  readonly error: unknown;
}

/** Of more, the oldest is let go; its result has the plain data. */
const KEPT_MAX = 64;

export class ThrownErrors {
  readonly #kept: Thrown[] = [];

  note(thrown: Thrown): void {
    if (this.#kept.push(thrown) > KEPT_MAX) this.#kept.shift();
  }

  /** The error that `data`, or what caused it, tells of; undefined when it is not known here. */
  of(data: ErrorData | null): unknown {
    for (let at = data ?? undefined; at !== undefined; at = at.cause) {
      const { node, branchId, code, message } = at;
      const found = this.#kept.findLast(
        (one) => one.node === node && one.branchId === branchId && isTold(one.error, code, message),
      );
      if (found !== undefined) return found.error;
    }
    return undefined;
  }
}

function isTold(error: unknown, code: string, message: string): boolean {
  const told = errorToData(error);
  return told.code === code && told.message === message;
}
