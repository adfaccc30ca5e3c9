// Open claims
//
// H1  A claim ends once: what its worker does with it afterwards changes nothing, except that a late `done` still removes the step.
// H2  A slot is held until the worker lets go: it ended the claim, or its `run` settled.
// H3  A `run` that settles without ending its claim hands the step back, as a repeat.
// H4  A claim that is not beaten for `ackWaitMs` has ended: the step goes to another.

import type { Claim, StepMessage } from "../bus/ports.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";

/** A step that was handed to this process: where it came from, and where it goes when its claim ends. */
export interface HandedStep {
  readonly step: StepMessage;
  readonly delivery: number;
  /** By the bus, which hands it to another by itself when it is not beaten. */
  readonly isOverBus: boolean;
  beat(): void;
  finish(): void;
  /** The claim was taken back, but its worker did finish. */
  finishLate(): void;
  handBack(delayMs: number, why: string): Promise<void>;
  /** Not beaten for too long. */
  lapse(why: string): void;
  giveUp(reason: string): Promise<void>;
}

export interface ClaimHolder {
  onEnded(): void;
  onSlotFree(): void;
}

const NOTHING = Promise.resolve();

export class OpenClaims {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #ackWaitMs: number;
  readonly #open = new Set<OpenClaim>();
  #cancelSweep: (() => void) | undefined;
  #sweepDueAtMs = 0;

  constructor(clock: Clock, logger: Logger, ackWaitMs: number) {
    this.#clock = clock;
    this.#logger = logger;
    this.#ackWaitMs = ackWaitMs;
  }

  /** Opens a claim and hands it to `run`. */
  start(handed: HandedStep, holder: ClaimHolder, run: (claim: Claim) => Promise<void>): void {
    const claim = new OpenClaim(this, handed, holder);
    this.#open.add(claim);
    this.#planSweep(this.#ackWaitMs);
    this.#run(claim, run);
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  end(claim: OpenClaim): void {
    this.#open.delete(claim);
    claim.holder.onEnded();
  }

  close(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#open.clear();
  }

  #run(claim: OpenClaim, run: (claim: Claim) => Promise<void>): void {
    const { sessionId, stepId } = claim.step;
    const left = (error: unknown, message: string, why: string): void => {
      const hadEnded = claim.letGo();
      if (hadEnded && error === undefined) return;
      this.#logger.error(
        { sessionId, stepId, error },
        hadEnded ? "step worker failed after its claim had ended" : message,
      );
      if (hadEnded) return;
      claim
        .handBack(0, why)
        .catch((cause: unknown) =>
          this.#logger.error({ sessionId, stepId, error: cause }, "a step could not be handed back"),
        );
    };
    const failed = (error: unknown): void =>
      left(error ?? "unknown", "step worker failed; the step is handed back", "its worker failed");
    try {
      run(claim).then(
        () =>
          left(
            undefined,
            "step worker returned without ending its claim; the step is handed back",
            "its worker returned without a result",
          ),
        failed,
      );
    } catch (error) {
      failed(error);
    }
  }

  // One timer for all open claims: a beat only writes down a number.
  #planSweep(inMs: number): void {
    if (this.#cancelSweep !== undefined) return;
    this.#sweepDueAtMs = this.nowMs() + inMs;
    this.#cancelSweep = this.#clock.setTimer(inMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const nowMs = this.nowMs();
    // This process stood still, and with it the beats of steps that it alone knows: they get another chance.
    const stoodStill = nowMs - this.#sweepDueAtMs > this.#ackWaitMs / 3;
    let nextMs = Infinity;
    for (const claim of this.#open) {
      if (stoodStill && !claim.handed.isOverBus) claim.beatAtMs = nowMs;
      const leftMs = claim.beatAtMs + this.#ackWaitMs - nowMs;
      if (leftMs > 0) {
        nextMs = Math.min(nextMs, leftMs);
        continue;
      }
      const { sessionId, stepId } = claim.step;
      this.#logger.warn(
        { sessionId, stepId, ackWaitMs: this.#ackWaitMs, stoodStill },
        stoodStill
          ? "this process stood still for too long; the step is handed to another and may run twice"
          : "step worker gave no sign of life; the step is handed to another",
      );
      claim.lapse(`its worker gave no sign of life for ${this.#ackWaitMs} ms`);
    }
    if (nextMs < Infinity) this.#planSweep(nextMs);
  }
}

class OpenClaim implements Claim {
  readonly handed: HandedStep;
  readonly holder: ClaimHolder;
  readonly #claims: OpenClaims;
  beatAtMs: number;
  #ended = false;
  #holdsSlot = true;

  constructor(claims: OpenClaims, handed: HandedStep, holder: ClaimHolder) {
    this.#claims = claims;
    this.handed = handed;
    this.holder = holder;
    this.beatAtMs = claims.nowMs();
  }

  get step(): StepMessage {
    return this.handed.step;
  }
  get delivery(): number {
    return this.handed.delivery;
  }

  beat(): void {
    this.beatAtMs = this.#claims.nowMs();
    if (!this.#ended) this.handed.beat();
  }

  done(): Promise<void> {
    if (this.#end()) this.handed.finish();
    else this.handed.finishLate();
    this.letGo();
    return NOTHING;
  }

  retry(delayMs: number): Promise<void> {
    return this.handBack(delayMs, "its worker handed it back");
  }

  async giveUp(reason: string): Promise<void> {
    const ended = this.#end();
    this.letGo();
    if (ended) await this.handed.giveUp(reason);
  }

  async handBack(delayMs: number, why: string): Promise<void> {
    const ended = this.#end();
    this.letGo();
    if (ended) await this.handed.handBack(delayMs, why);
  }

  lapse(why: string): void {
    if (this.#end()) this.handed.lapse(why);
  }

  /** Frees the slot, once. True when the claim has ended. */
  letGo(): boolean {
    if (this.#holdsSlot) {
      this.#holdsSlot = false;
      this.holder.onSlotFree();
    }
    return this.#ended;
  }

  /** False when it had ended before. */
  #end(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#claims.end(this);
    return true;
  }
}
