// Local step queue
//
// Owns:      the steps on offer in this process, in what order they are handed out, and when a claim is taken back.
// Does not:  run steps, or know results.
//
// Q1  A step is in exactly one place: ready, delayed, or open under one claim. It leaves by done, giveUp, withdraw or as a dead letter.
// Q2  Steps are handed out in a microtask, never inside `offer`, and never while another hand-out is under way.
// Q3  A claim ends once: what its worker does with it afterwards changes nothing, except that a late `done` removes a
//     step that still waits for its next delivery.
// Q4  A slot is held until the worker lets go: it ended the claim, or its `run` settled.
// Q5  A `run` that settles without ending its claim hands the step back, as a repeat.

import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Claim, StepMessage, StepQueue, StepServer } from "./ports.ts";
import { closedError } from "./closed-error.ts";
import { StepIndex } from "./local-step-index.ts";
import { ReadySteps, type QueuedStep } from "./local-ready-steps.ts";

/** A step that left the queue without a result. */
export interface BuriedStep {
  readonly step: StepMessage;
  /** How often it was handed out. */
  readonly deliveries: number;
  readonly reason: string;
}

export interface LocalStepQueueOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** A claim not beaten for this long is handed to another worker; `false`: never. */
  readonly ackWaitMs: number | false;
  /** A step is handed out at most this often. */
  readonly maxDelivery: number;
  /** Steps of one agent that may wait at one time; more are refused as `full`. */
  readonly queueCapacity: number;
  readonly onBuried: (buried: BuriedStep) => void;
}

interface Serving {
  readonly agents: readonly string[] | undefined;
  readonly run: (claim: Claim) => Promise<void>;
  slots: number;
  busy: number;
  stopped: boolean;
  /** Claims not yet ended. */
  open: number;
  readonly whenIdle: (() => void)[];
}

const NOTHING = Promise.resolve();
const QUEUED = Promise.resolve("queued" as const);
const ALREADY = Promise.resolve("already" as const);
const FULL = Promise.resolve("full" as const);

export class LocalStepQueue implements StepQueue {
  readonly #options: LocalStepQueueOptions;
  readonly #index = new StepIndex();
  readonly #ready = new ReadySteps();
  /** Ready or delayed, by agent. */
  readonly #waiting = new Map<string, number>();
  readonly #open = new Set<OpenClaim>();
  #serving: readonly Serving[] = [];
  #handOutPlanned = false;
  #cancelSweep: (() => void) | undefined;
  #closed = false;

  constructor(options: LocalStepQueueOptions) {
    this.#options = options;
  }

  offer(step: StepMessage): Promise<"queued" | "already" | "full"> {
    if (this.#closed) return Promise.reject(closedError(`offer of step ${step.stepId}`));
    if (this.#index.has(step)) return ALREADY;
    if ((this.#waiting.get(step.agent) ?? 0) >= this.#options.queueCapacity) return FULL;
    const queued: QueuedStep = {
      step,
      state: "delayed",
      delivery: 0,
      order: 0,
      inAgent: undefined,
      inAll: undefined,
      cancelTimer: undefined,
    };
    this.#index.add(queued);
    this.#enqueue(queued, step.notBeforeMs ?? 0);
    return QUEUED;
  }

  async withdraw(sessionId: string, stepId: string): Promise<boolean> {
    let found = false;
    for (const queued of this.#index.attempts(sessionId, stepId)) {
      if (queued.state !== "ready" && queued.state !== "delayed") continue;
      this.#leaveWaiting(queued);
      this.#remove(queued);
      found = true;
    }
    return found;
  }

  serve(options: { agents?: readonly string[]; slots: number; run: (claim: Claim) => Promise<void> }): StepServer {
    if (this.#closed) throw closedError("serve");
    checkSlots(options.slots);
    const serving: Serving = {
      agents: options.agents?.slice(),
      run: options.run,
      slots: options.slots,
      busy: 0,
      stopped: false,
      open: 0,
      whenIdle: [],
    };
    this.#serving = [...this.#serving, serving];
    this.#planHandOut();
    return {
      setSlots: (slots) => {
        checkSlots(slots);
        serving.slots = slots;
        this.#planHandOut();
      },
      stop: () => {
        serving.stopped = true;
        this.#serving = this.#serving.filter((one) => one !== serving);
        return serving.open === 0 ? NOTHING : new Promise((resolve) => serving.whenIdle.push(resolve));
      },
    };
  }

  /** Steps not yet claimed, delayed ones included. */
  depth(agent?: string): number {
    if (agent !== undefined) return this.#waiting.get(agent) ?? 0;
    let sum = 0;
    for (const count of this.#waiting.values()) sum += count;
    return sum;
  }

  /** Forgets every step and timer. Open claims end as their workers end them; none is handed out again. */
  close(): void {
    this.#closed = true;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    for (const queued of this.#index.all()) queued.cancelTimer?.();
    this.#index.clear();
    this.#ready.clear();
    this.#waiting.clear();
    this.#serving = [];
    this.#open.clear();
  }

  #enqueue(queued: QueuedStep, notBeforeMs: number): void {
    const { agent } = queued.step;
    this.#waiting.set(agent, (this.#waiting.get(agent) ?? 0) + 1);
    if (notBeforeMs > 0) this.#delay(queued, notBeforeMs);
    else this.#makeReady(queued);
  }

  // A timer may fire a moment early, or the wall clock may have been set back meanwhile: look again.
  #delay(queued: QueuedStep, notBeforeMs: number): void {
    const remainingMs = notBeforeMs - this.#options.clock.nowMs();
    if (remainingMs <= 0) {
      queued.cancelTimer = undefined;
      this.#makeReady(queued);
      return;
    }
    queued.state = "delayed";
    queued.cancelTimer = this.#options.clock.setTimer(remainingMs, () => this.#delay(queued, notBeforeMs));
  }

  #makeReady(queued: QueuedStep): void {
    queued.state = "ready";
    this.#ready.push(queued);
    this.#planHandOut();
  }

  #leaveWaiting(queued: QueuedStep): void {
    queued.cancelTimer?.();
    queued.cancelTimer = undefined;
    if (queued.state === "ready") this.#ready.remove(queued);
    const { agent } = queued.step;
    const left = (this.#waiting.get(agent) ?? 1) - 1;
    if (left === 0) this.#waiting.delete(agent);
    else this.#waiting.set(agent, left);
  }

  #remove(queued: QueuedStep): void {
    queued.state = "gone";
    this.#index.remove(queued);
  }

  #planHandOut(): void {
    if (this.#handOutPlanned || this.#ready.size === 0) return;
    this.#handOutPlanned = true;
    queueMicrotask(() => {
      // The flag falls last: what a worker offers while it is being handed a step is seen by this same loop (Q2).
      this.#handOut();
      this.#handOutPlanned = false;
    });
  }

  /** Round and round the servers with a free slot, one step each, until nothing fits. */
  #handOut(): void {
    for (let progress = true; progress && this.#ready.size > 0;) {
      progress = false;
      for (const serving of this.#serving) {
        if (serving.stopped || serving.busy >= serving.slots) continue;
        const queued = this.#ready.oldest(serving.agents);
        if (queued === undefined) continue;
        progress = true;
        this.#claim(queued, serving);
      }
    }
  }

  #claim(queued: QueuedStep, serving: Serving): void {
    this.#leaveWaiting(queued);
    queued.state = "open";
    queued.delivery++;
    serving.busy++;
    serving.open++;
    const claim = new OpenClaim(this, queued, serving, queued.delivery);
    if (this.#options.ackWaitMs !== false) {
      claim.beat();
      this.#open.add(claim);
      this.#planSweep(this.#options.ackWaitMs);
    }
    this.#run(claim, serving);
  }

  #run(claim: OpenClaim, serving: Serving): void {
    const failed = (error: unknown): void => {
      const { sessionId, stepId } = claim.step;
      if (claim.letGo()) {
        this.#options.logger.error({ sessionId, stepId, error }, "step worker failed after its claim had ended");
        return;
      }
      this.#options.logger.error({ sessionId, stepId, error }, "step worker failed; the step is handed back");
      this.handBack(claim, 0, "its worker failed");
    };
    try {
      serving.run(claim).then(() => {
        if (claim.letGo()) return;
        const { sessionId, stepId } = claim.step;
        this.#options.logger.error(
          { sessionId, stepId },
          "step worker returned without ending its claim; the step is handed back",
        );
        this.handBack(claim, 0, "its worker returned without a result");
      }, failed);
    } catch (error) {
      failed(error);
    }
  }

  nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  finish(claim: OpenClaim): void {
    this.#end(claim);
    this.#remove(claim.queued);
  }

  /** Q3: the claim was taken back, but its worker did finish. */
  finishLate(claim: OpenClaim): void {
    const { queued } = claim;
    if (queued.state !== "ready" && queued.state !== "delayed") return;
    this.#leaveWaiting(queued);
    this.#remove(queued);
  }

  handBack(claim: OpenClaim, delayMs: number, why: string): void {
    this.#end(claim);
    if (this.#closed) return;
    const { queued } = claim;
    if (queued.delivery >= this.#options.maxDelivery) {
      this.bury(queued, `handed out ${queued.delivery} times, the most allowed; the last time ${why}`);
      return;
    }
    this.#enqueue(queued, delayMs > 0 ? this.#options.clock.nowMs() + delayMs : 0);
  }

  giveUp(claim: OpenClaim, reason: string): void {
    this.#end(claim);
    this.bury(claim.queued, reason);
  }

  bury(queued: QueuedStep, reason: string): void {
    this.#remove(queued);
    this.#options.onBuried({ step: queued.step, deliveries: queued.delivery, reason });
  }

  freeSlot(serving: Serving): void {
    serving.busy--;
    this.#planHandOut();
  }

  #end(claim: OpenClaim): void {
    claim.expire();
    this.#open.delete(claim);
    const { serving } = claim;
    serving.open--;
    if (serving.open === 0) for (const resolve of serving.whenIdle.splice(0)) resolve();
  }

  // One timer for all open claims: a beat only writes down a number.
  #planSweep(inMs: number): void {
    this.#cancelSweep ??= this.#options.clock.setTimer(inMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const { ackWaitMs } = this.#options;
    if (ackWaitMs === false) return;
    const nowMs = this.nowMs();
    let nextMs = Infinity;
    for (const claim of this.#open) {
      const leftMs = claim.beatAtMs + ackWaitMs - nowMs;
      if (leftMs > 0) {
        nextMs = Math.min(nextMs, leftMs);
        continue;
      }
      const { sessionId, stepId } = claim.step;
      this.#options.logger.warn(
        { sessionId, stepId, ackWaitMs },
        "step worker gave no sign of life; the step is handed to another",
      );
      this.handBack(claim, 0, `its worker gave no sign of life for ${ackWaitMs} ms`);
    }
    if (nextMs < Infinity) this.#planSweep(nextMs);
  }
}

class OpenClaim implements Claim {
  readonly queued: QueuedStep;
  readonly serving: Serving;
  readonly delivery: number;
  beatAtMs = 0;
  readonly #queue: LocalStepQueue;
  #ended = false;
  #holdsSlot = true;

  constructor(queue: LocalStepQueue, queued: QueuedStep, serving: Serving, delivery: number) {
    this.#queue = queue;
    this.queued = queued;
    this.serving = serving;
    this.delivery = delivery;
  }

  get step(): StepMessage {
    return this.queued.step;
  }

  beat(): void {
    this.beatAtMs = this.#queue.nowMs();
  }

  done(): Promise<void> {
    if (this.#ended) this.#queue.finishLate(this);
    else this.#queue.finish(this);
    this.letGo();
    return NOTHING;
  }

  retry(delayMs: number): Promise<void> {
    if (!this.#ended) this.#queue.handBack(this, delayMs, "its worker handed it back");
    this.letGo();
    return NOTHING;
  }

  giveUp(reason: string): Promise<void> {
    if (!this.#ended) this.#queue.giveUp(this, reason);
    this.letGo();
    return NOTHING;
  }

  /** From now on nothing done with the claim moves the step. */
  expire(): void {
    this.#ended = true;
  }

  /** Frees the slot, once. True when the claim has ended. */
  letGo(): boolean {
    if (this.#holdsSlot) {
      this.#holdsSlot = false;
      this.#queue.freeSlot(this.serving);
    }
    return this.#ended;
  }
}

function checkSlots(slots: number): void {
  if (Number.isInteger(slots) && slots >= 0) return;
  if (slots === Infinity) return;
  throw new OrchestraError("ORCH_BAD_OPTION", `slots: expected a whole number from 0, or Infinity, got ${slots}`);
}
