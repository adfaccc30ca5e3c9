// Asks: what is asked of the runtime from outside, and S10: that every ask is answered, by what was asked for or by an error
// with a code that the circumstances explain.

import { isOrchestraError } from "../../base/errors.ts";
import type { OrchestraErrorCode } from "../../base/errors.ts";
import type { FaultKind } from "./faults.ts";
import type { Machine } from "./sim-machine.ts";
import { HostGone, type SimHost } from "./sim-host.ts";

/** Codes that may only be seen where one of these faults has struck. */
const BLAMED_ON: Readonly<Partial<Record<OrchestraErrorCode, readonly FaultKind[]>>> = {
  ORCH_STORE_CORRUPT: ["bit-flip"],
  ORCH_STORE_FAILED: ["failed-write"],
  ORCH_FENCED: ["failed-write"],
};

/** The same with several hosts. Who loses a session to another is told so. */
const BLAMED_ON_THE_BUS: Readonly<Partial<Record<OrchestraErrorCode, readonly FaultKind[]>>> = {
  ORCH_STORE_CORRUPT: [],
  ORCH_STORE_FAILED: ["partition", "bus-away", "lost-message", "lost-acknowledgement"],
  // Who stands still for longer than a call waits hears of no answer, too.
  ORCH_BUS_UNREACHABLE: ["partition", "bus-away", "lost-message", "lost-acknowledgement", "freeze"],
};

/** What can only be the runtime's own mistake. */
const NEVER: ReadonlySet<string> = new Set(["ORCH_STORE_LOCKED", "ORCH_STORE_VERSION", "ORCH_CLOSED"]);

export class Asks {
  readonly #machine: Machine;
  readonly #open = new Map<object, { readonly host: SimHost; readonly what: string }>();

  /** The last error an ask of each kind was answered with. */
  readonly refusals = new Map<string, string>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Rejects with `HostGone` when the process dies first, and otherwise as `act` does. */
  async ask<T>(host: SimHost, what: string, act: () => Promise<T>): Promise<T> {
    const key = {};
    this.#open.set(key, { host, what });
    try {
      const answer = await host.until(act());
      if (this.#machine.canary === "swallows-an-answer" && what.startsWith("outcome"))
        return await new Promise(() => undefined);
      this.#open.delete(key);
      this.refusals.delete(what);
      return answer;
    } catch (error) {
      this.#open.delete(key);
      this.#judge(what, error);
      throw error;
    }
  }

  /** Asked of a process that lives, and not answered. */
  open(): readonly string[] {
    return [...this.#open.values()].filter(({ host }) => host.scope.alive).map(({ what }) => what);
  }

  #judge(what: string, error: unknown): void {
    if (error instanceof HostGone) return;
    if (!isOrchestraError(error)) {
      const stack = error instanceof Error ? error.stack : String(error);
      this.#machine.report("S10", `${what} was answered with an error that has no code: ${stack ?? ""}`);
      return;
    }
    this.refusals.set(what, `${error.code}: ${error.message}`);
    const blamed = (this.#machine.hosts > 1 ? BLAMED_ON_THE_BUS : BLAMED_ON)[error.code];
    const struck = this.#machine.faults.struck;
    const unexplained = blamed !== undefined && !struck.some(({ kind }) => blamed.includes(kind));
    if (unexplained || NEVER.has(error.code))
      this.#machine.report("S10", `${what} was answered with ${error.code}, which nothing explains: ${error.message}`);
  }
}
