// Barrier ledger: S4, read from the events of a session. A second opinion on joins: it counts arrivals, and knows nothing of
// how the reducer decides.

import type { KernelEvent } from "../../actors/effects.ts";
import type { SessionState } from "../../actors/session-state.ts";
import { why } from "../../actors/view.ts";
import type { ConvergencePolicy } from "../../topology/types.ts";
import type { Canary } from "./canaries.ts";

type FiredEvent = Extract<KernelEvent, { type: "barrier.fired" }>;

export class BarrierLedger {
  readonly #canary: Canary | undefined;
  /** Branches that have arrived at each join that has not decided. */
  readonly #open = new Map<string, Set<string>>();
  readonly #decided = new Set<string>();
  /** A person was asked about these; an answer that goes on counts as an arrival. */
  readonly #asked = new Set<string>();

  constructor(canary?: Canary) {
    this.#canary = canary;
  }

  /** `after` is the state all of the events led to. */
  note(events: readonly KernelEvent[], after: SessionState, report: (message: string) => void): void {
    for (const event of events) {
      switch (event.type) {
        case "run.started":
          this.#forget();
          break;
        case "run.restored":
          this.#forget();
          for (const { barrierId, arrived } of why(after).barriers)
            this.#open.set(barrierId, new Set(arrived.map((from, i) => `${i} ${from}`)));
          return;
        case "barrier.arrived":
          if (event.late !== true) this.#arrived(event.barrierId, event.branchId, report);
          break;
        case "barrier.fired":
          this.#fired(event, policyAt(after, event.node), report);
          break;
        default:
          break;
      }
    }
  }

  /** Joins of another run, or of an earlier place in this one, are numbered anew. */
  #forget(): void {
    this.#open.clear();
    this.#decided.clear();
    this.#asked.clear();
  }

  #arrived(barrierId: string, branchId: string, report: (message: string) => void): void {
    const open = this.#open.get(barrierId) ?? new Set();
    this.#open.set(barrierId, open);
    if (this.#decided.has(barrierId)) report(`branch ${branchId} arrives at join ${barrierId}, which has decided`);
    if (open.has(branchId)) report(`branch ${branchId} arrives at join ${barrierId} twice`);
    if (this.#canary !== "counts-one-more" || open.size === 0) open.add(branchId);
  }

  #fired(
    { barrierId, arrived, failed, decision }: FiredEvent,
    policy: ConvergencePolicy,
    report: (message: string) => void,
  ): void {
    const counted = this.#open.get(barrierId)?.size ?? 0;
    const answered = this.#asked.has(barrierId) ? 1 : 0;
    if (arrived !== counted && arrived !== counted + answered)
      report(`join ${barrierId} counts ${arrived} arrivals; there were ${counted}`);
    if (decision === "cancelled") {
      this.#open.delete(barrierId);
      this.#asked.delete(barrierId);
      return;
    }
    if (decision === "asked") {
      this.#asked.add(barrierId);
      return;
    }
    if (this.#decided.has(barrierId)) report(`join ${barrierId} decides twice`);
    this.#decided.add(barrierId);
    this.#open.delete(barrierId);
    if (answered > 0) return;
    const { minRatio = 1, quorum, onInsufficient = "fail" } = policy;
    const enough = quorum === undefined ? arrived / (arrived + failed) >= minRatio : arrived >= quorum;
    if (decision === "fired" && !enough && onInsufficient === "fail")
      report(`join ${barrierId} fires with ${arrived} arrived and ${failed} failed, which is not enough`);
    if (decision === "failed" && enough)
      report(`join ${barrierId} fails with ${arrived} arrived and ${failed} failed, which is enough`);
  }
}

function policyAt({ run }: SessionState, name: string): ConvergencePolicy {
  const node = run?.topology.nodes.find((one) => one.name === name);
  return node?.convergencePolicy ?? run?.limits.convergencePolicy ?? {};
}
