// Step registry
//
// Owns:      the steps of one session that are out: their live actors, their place in line, who runs them.
// Does not:  commit; what an attempt came to is handed to `onEnd`, and the step leaves only when its fact is committed.
// Crossing:  session → offer(), abort(), settled(); registry → StepQueue.offer(), Worker.abort(); ResultRegister → received().
//
// D1  At most `maxConcurrency` steps of the session are at work at a time; the others wait here, first come, first served.
//     One that has ended holds its place until its fact is committed, unless that can stop none of the others: then the
//     next begins at once, so that what ends meanwhile is recorded together. At most `UNRECORDED_MAX` places are given on
//     like this, for a crash repeats what is not recorded, and none while an end that may stop others waits.
// D2  A step that backs off holds no place.
// D3  An offer the queue does not take (`full`, `already`, an error) is made again until the step settles: no step is
//     forgotten because of a bus.
// D4  The first result of an attempt counts; later ones and those of other attempts are dropped.
// D5  A step that was offered again may have its result from before. Once that is committed the queue lets go of it: when
//     the run has ended, nobody may be there who takes it.
// D6  That a step waits for people may still stand in the register when they have answered, for its owner died before it was
//     taken out. It is taken out then, and the step is offered again.
// D7  Steps of a session that stays are run by the worker of this process, past the queue. How often each was gone on with
//     by another owner is counted in the session's journal, as a queue counts: at most `HANDED_MAX` times.

import type { Inspect } from "../actors/live-actor.ts";
import { createStepActor } from "../actors/step-machine.ts";
import type { StepActor, StepEvent } from "../actors/step-machine.ts";
import type { StepOffer } from "../actors/effects.ts";
import type { Fact } from "../actors/facts.ts";
import type { Bus, DeadLetter, StepMessage, StepResult } from "../bus/ports.ts";
import type { Clock } from "../base/clock.ts";
import { errorToData } from "../base/error-data.ts";
import { FewMap } from "../base/few-map.ts";
import type { Logger } from "../base/logger.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { readForeignEnd } from "./foreign-end.ts";
import { poisoned } from "./poisoned-step.ts";
import type { AbortReason, StepEnd } from "./step-wire.ts";
import type { Worker } from "./worker.ts";

export interface RegistryPorts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly worker: Worker;
  readonly logger: Logger;
  /** Others share the bus: steps may run on other hosts, and go on there when this one lets go of the session. */
  readonly shared: boolean;
  readonly inspect?: Inspect | undefined;
}

export interface RegistryOwner {
  /** What is sent along with a step; called when it is handed out. */
  messageOf(offer: StepOffer): StepMessage;
  onStepEnd(offer: StepOffer, end: StepEnd): void;
  /** A step is to be stopped on whatever host it runs. */
  onRecalled(stepId: string, reason: AbortReason): void;
  /** Nothing is handed out any more. */
  onIdle(): void;
  /** D7 */
  readonly stays: boolean;
  /** Notes that a step is begun that another owner may have died of, and says how often that was noted, this time included. */
  countHanding(offer: StepOffer): Promise<number>;
}

interface Entry {
  readonly offer: StepOffer;
  readonly actor: StepActor;
  /** out: with the queue or a worker. ended: its result waits for the commit. gone: it holds no place any more. */
  phase: "backing-off" | "in-line" | "out" | "ended" | "gone";
  deadline: Deadline | null;
  refusals: number;
  /** What the queue said last, where it did not take the step. */
  refused: "already" | "full" | "error" | null;
  /** Outstanding already when its session was gone on with, or offered again since: others may bring its result. */
  again: boolean;
  /** It has ended, and gave its place on before that is recorded. */
  gaveOn: boolean;
  /** When it was handed out first, and when to look whether it was lost; monotonic. */
  outSinceMs: number;
  lookAtMs: number;
  lookedTimes: number;
  unservedTold: boolean;
}

/** A step that is with the queue or a worker, as whoever looks after it sees it. */
export interface OutStep {
  readonly offer: StepOffer;
  readonly outForMs: number;
  /** Out for long enough to look whether it was lost. */
  readonly isDue: boolean;
  readonly unservedTold: boolean;
}

const ENDS = {
  "step.succeeded": { type: "step.succeed" },
  "step.failed": { type: "step.fail" },
  "step.suspended": { type: "step.suspend" },
} as const;
const REOFFER_MS = 20;
const REOFFER_MS_MAX = 5_000;
/** A step that is out is looked at after this long, then after twice as long each time up to a minute. */
const LOOK_MS = 5_000;
const LOOK_DOUBLINGS_MAX = 4;
const UNRECORDED_MAX = 64;
const HANDED_MAX = 10;

export class StepRegistry {
  readonly #sessionId: string;
  readonly #ports: RegistryPorts;
  readonly #owner: RegistryOwner;
  readonly #maxConcurrency: number;
  readonly #entries = new FewMap<string, Entry>();
  #line: Entry[] = [];
  #lineHead = 0;
  #out = 0;
  /** Of those, the ones that have ended and are not recorded yet, and how many of them gave their places on. */
  #ended = 0;
  #gaveOn = 0;
  #paused = false;
  #held = false;
  #dropped = 0;

  constructor(sessionId: string, maxConcurrency: number, ports: RegistryPorts, owner: RegistryOwner) {
    this.#sessionId = sessionId;
    this.#maxConcurrency = maxConcurrency;
    this.#ports = ports;
    this.#owner = owner;
  }

  /** Results nobody waited for any more. */
  get dropped(): number {
    return this.#dropped;
  }
  /** Steps handed out and not yet committed. */
  get out(): number {
    return this.#out;
  }
  /** Ids of those. */
  handedOut(): readonly string[] {
    return this.#entries
      .values()
      .flatMap(({ phase, offer }) => (phase === "out" || phase === "ended" ? [offer.stepId] : []));
  }
  has(stepId: string): boolean {
    return this.#entries.has(stepId);
  }
  /** Steps the queue has no room for; they are offered again and again. */
  get full(): readonly string[] {
    return this.#entries
      .values()
      .flatMap(({ phase, refused, offer }) => (phase === "out" && refused === "full" ? [offer.stepId] : []));
  }

  /** `again`: it was outstanding already when the session was gone on with. */
  offer(offer: StepOffer, again = false): void {
    const known = this.#entries.get(offer.stepId);
    if (known !== undefined && known.offer.attempt === offer.attempt && known.phase !== "gone") return;
    if (known !== undefined) this.#leave(known);
    let actor = known?.actor;
    if (actor === undefined) {
      actor = createStepActor(offer, {
        onError: (error) =>
          this.#ports.logger.error(
            { sessionId: this.#sessionId, stepId: offer.stepId, error: errorToData(error) },
            "a step actor failed",
          ),
        inspect: this.#ports.inspect,
      });
    } else actor.send({ type: "step.offer", attempt: offer.attempt });
    const entry: Entry = {
      offer,
      actor,
      phase: "in-line",
      deadline: null,
      refusals: 0,
      refused: null,
      again,
      gaveOn: false,
      outSinceMs: 0,
      lookAtMs: 0,
      lookedTimes: 0,
      unservedTold: false,
    };
    this.#entries.set(offer.stepId, entry);
    const delayMs = offer.notBeforeMs === undefined ? 0 : offer.notBeforeMs - this.#ports.clock.nowMs();
    if (delayMs > 0) {
      entry.phase = "backing-off";
      entry.deadline = this.#ports.deadlines.after(delayMs, () => {
        entry.deadline = null;
        this.#queue(entry);
      });
    } else this.#queue(entry);
  }

  /** Ends what the steps do, here or wherever they run, and forgets them: all of them, before others get their places. */
  abort(steps: readonly { readonly stepId: string; readonly reason: AbortReason }[]): void {
    for (const { stepId, reason } of steps) {
      const entry = this.#entries.get(stepId);
      if (entry === undefined) continue;
      const wasOut = entry.phase === "out";
      this.#forget(entry, { type: "step.cancel" });
      if (wasOut) this.#recall(stepId, reason);
    }
    this.#pump();
  }

  /** The fact of a step's end is committed. */
  settled(fact: Extract<Fact, { type: "step.succeeded" | "step.failed" | "step.suspended" }>): void {
    const entry = this.#entries.get(fact.stepId);
    if (entry === undefined || entry.offer.attempt !== fact.attempt) return;
    void this.#ports.bus.results.forget(this.#sessionId, fact).catch(() => undefined);
    if (fact.type === "step.failed" && fact.retryAtMs !== undefined) {
      // The next attempt is offered by the effects of the same commit, to the same actor.
      entry.actor.send({ type: "step.fail", retryAtMs: fact.retryAtMs });
      this.#leave(entry);
    } else {
      // D5
      if (entry.again) this.#withdraw(fact.stepId);
      this.#forget(entry, ENDS[fact.type]);
    }
    this.#pump();
    if (this.#out === 0) this.#owner.onIdle();
  }

  /** The attempt ended on its worker without a result (its nested run was paused): the step is let go until it is offered again. */
  release(stepId: string): void {
    const entry = this.#entries.get(stepId);
    if (entry === undefined) return;
    this.#forget(entry, { type: "step.suspend" });
    if (this.#out === 0) this.#owner.onIdle();
  }

  received(result: StepResult): void {
    const entry = this.#entries.get(result.stepId);
    if (
      entry === undefined ||
      entry.offer.attempt !== result.attempt ||
      entry.phase === "ended" ||
      entry.phase === "gone"
    ) {
      this.#dropped++;
      return;
    }
    const end = this.#endIn(result, entry.offer);
    if (waitsForNothing(end, entry.offer)) return this.#passOver(entry);
    if (entry.deadline !== null) this.#ports.deadlines.clear(entry.deadline);
    entry.deadline = null;
    if (entry.phase === "in-line") this.#out++;
    entry.phase = "ended";
    this.#ended++;
    this.#owner.onStepEnd(entry.offer, end);
  }

  /** D6 */
  #passOver(entry: Entry): void {
    this.#dropped++;
    this.#ports.bus.results.forget(this.#sessionId, entry.offer).then(
      () => this.offerAgain(entry.offer),
      (error: unknown) =>
        this.#ports.logger.warn(
          { sessionId: this.#sessionId, stepId: entry.offer.stepId, error: errorToData(error) },
          "that a step waited for people could not be unregistered; it is looked at again",
        ),
    );
  }

  /** What the step ended with is being committed, and can stop no other step of the session (D1). */
  giveOn(stepId: string): void {
    const entry = this.#entries.get(stepId);
    if (entry?.phase !== "ended" || entry.gaveOn) return;
    entry.gaveOn = true;
    this.#gaveOn++;
    this.#pump();
  }

  #endIn({ body }: StepResult, offer: StepOffer): StepEnd {
    const isOwn = !this.#ports.shared || this.#ports.worker.hasMade(body);
    return isOwn ? (body as StepEnd) : readForeignEnd(body, offer);
  }

  /** The queue has given the step up. */
  buried(letter: DeadLetter): void {
    const { stepId, attempt } = letter;
    const entry = this.#entries.get(stepId);
    if (entry?.phase !== "out" || entry.offer.attempt !== attempt) return;
    this.fail(entry.offer, poisoned(letter, entry.offer));
  }

  /** Ends an attempt that nobody will bring to an end. It goes through the register, where a result that came first stands. */
  fail({ stepId, attempt }: StepOffer, end: StepEnd): void {
    const failure = { sessionId: this.#sessionId, stepId, attempt, body: end };
    const { results } = this.#ports.bus;
    const standing = results
      .put(failure)
      .then((put) => (put === "first" ? failure : results.get(this.#sessionId, stepId, attempt)));
    standing.then(
      (result) => this.received(result ?? failure),
      (error: unknown) =>
        this.#ports.logger.warn(
          { sessionId: this.#sessionId, stepId, error: errorToData(error) },
          "the failure of a step could not be registered; the step is offered again",
        ),
    );
  }

  /** Steps with the queue or with workers of other hosts. */
  outElsewhere(): readonly OutStep[] {
    const nowMs = this.#ports.clock.monotonicMs();
    const steps: OutStep[] = [];
    for (const { phase, offer, outSinceMs, lookAtMs, unservedTold } of this.#entries.values())
      if (
        phase === "out" &&
        !this.#ports.worker.isRunning(this.#sessionId, offer.stepId) &&
        !this.#ports.worker.hasHere(this.#sessionId, offer.stepId)
      )
        steps.push({ offer, outForMs: nowMs - outSinceMs, isDue: nowMs >= lookAtMs, unservedTold });
    return steps;
  }

  unservedTold(stepId: string): void {
    const entry = this.#entries.get(stepId);
    if (entry !== undefined) entry.unservedTold = true;
  }

  /** Offers a step that may have been lost. Where it was not, the queue says `already`. */
  offerAgain({ stepId, attempt }: StepOffer): void {
    const entry = this.#entries.get(stepId);
    if (entry?.phase !== "out" || entry.offer.attempt !== attempt || entry.deadline !== null || this.#held) return;
    entry.again = true;
    entry.lookAtMs = this.#lookAtMs(++entry.lookedTimes);
    this.#hand(entry);
  }

  /** While it is held nothing is handed out; what is out stays out. */
  hold(held: boolean): void {
    this.#held = held;
    this.#pump();
  }

  /** Hands out nothing more; what waits here is let go. It is offered again on resume. */
  pause(): void {
    this.#paused = true;
    for (const entry of this.#entries.values()) {
      if (entry.phase === "in-line" || entry.phase === "backing-off") this.#forget(entry, { type: "step.cancel" });
    }
    this.#line = [];
    this.#lineHead = 0;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  /** Lets everything go. `reason` is what running agents see in their signal. */
  clear(reason: AbortReason): void {
    for (const entry of this.#entries.values()) {
      const wasOut = entry.phase === "out";
      this.#forget(entry, { type: "step.cancel" });
      if (wasOut) this.#recall(entry.offer.stepId, reason);
    }
    this.#line = [];
    this.#lineHead = 0;
  }

  #queue(entry: Entry): void {
    entry.phase = "in-line";
    this.#line.push(entry);
    this.#pump();
  }

  #pump(): void {
    while (!this.#paused && !this.#held && this.#placesHeld() < this.#maxConcurrency) {
      const entry = this.#line[this.#lineHead];
      if (entry === undefined) break;
      this.#lineHead++;
      if (entry.phase !== "in-line") continue;
      this.#out++;
      entry.phase = "out";
      entry.outSinceMs = this.#ports.clock.monotonicMs();
      entry.lookAtMs = this.#lookAtMs(0);
      this.#hand(entry);
    }
    if (this.#lineHead > 0 && this.#lineHead === this.#line.length) {
      this.#line = [];
      this.#lineHead = 0;
    }
  }

  #placesHeld(): number {
    return this.#gaveOn < this.#ended ? this.#out : this.#out - Math.min(this.#gaveOn, UNRECORDED_MAX);
  }

  #lookAtMs(lookedTimes: number): number {
    return this.#ports.clock.monotonicMs() + LOOK_MS * 2 ** Math.min(lookedTimes, LOOK_DOUBLINGS_MAX);
  }

  #hand(entry: Entry): void {
    const handed = this.#owner.stays ? this.#handHere(entry) : this.#offer(entry);
    handed.then(
      (answer) => {
        entry.refused = answer === "queued" ? null : answer;
        if (answer !== "queued") this.#handLater(entry);
      },
      (error: unknown) => {
        entry.refused = "error";
        this.#ports.logger.warn(
          { sessionId: this.#sessionId, stepId: entry.offer.stepId, error: errorToData(error) },
          "the step queue refused a step; it is offered again",
        );
        this.#handLater(entry);
      },
    );
  }

  #offer(entry: Entry): Promise<"queued" | "already" | "full"> {
    const message = this.#owner.messageOf(entry.offer);
    return this.#ports.bus.steps.offer(entry.again && this.#ports.shared ? { ...message, recovered: true } : message);
  }

  /** D7 */
  async #handHere(entry: Entry): Promise<"queued"> {
    const { offer } = entry;
    const message = this.#owner.messageOf(offer);
    const handed = await (entry.again ? this.#owner.countHanding(offer) : 0);
    // It may have been let go meanwhile.
    if (entry.phase !== "out" || this.#entries.get(offer.stepId) !== entry) return "queued";
    if (handed <= HANDED_MAX) this.#ports.worker.runHere(message);
    else this.fail(offer, poisoned({ agent: message.agent, deliveries: handed, reason: "its hosts ended" }, offer));
    return "queued";
  }

  #handLater(entry: Entry): void {
    if (entry.phase !== "out") return;
    const delayMs = Math.min(REOFFER_MS * 2 ** Math.min(entry.refusals++, 8), REOFFER_MS_MAX);
    entry.deadline = this.#ports.deadlines.after(delayMs, () => {
      entry.deadline = null;
      if (entry.phase === "out") this.#hand(entry);
    });
  }

  #forget(entry: Entry, event: StepEvent): void {
    entry.actor.send(event);
    entry.actor.stop();
    this.#leave(entry);
    if (this.#entries.get(entry.offer.stepId) === entry) this.#entries.delete(entry.offer.stepId);
  }

  /** Gives back the place the entry holds. */
  #leave(entry: Entry): void {
    if (entry.deadline !== null) this.#ports.deadlines.clear(entry.deadline);
    entry.deadline = null;
    if (entry.phase === "out" || entry.phase === "ended") this.#out--;
    if (entry.phase === "ended") this.#ended--;
    if (entry.gaveOn) this.#gaveOn--;
    entry.gaveOn = false;
    entry.phase = "gone";
  }

  #recall(stepId: string, reason: AbortReason): void {
    if (this.#ports.worker.abort(this.#sessionId, stepId, reason)) return;
    // The next owner wants it, wherever it runs.
    if (this.#ports.shared && (reason === "fenced" || reason === "closing")) return;
    if (this.#ports.shared) this.#owner.onRecalled(stepId, reason);
    this.#withdraw(stepId);
  }

  #withdraw(stepId: string): void {
    this.#ports.bus.steps
      .withdraw(this.#sessionId, stepId)
      .catch((error: unknown) =>
        this.#ports.logger.warn(
          { sessionId: this.#sessionId, stepId, error: errorToData(error) },
          "a step could not be withdrawn",
        ),
      );
  }
}

/** All that it asked has been answered. */
function waitsForNothing(end: StepEnd, { answers }: StepOffer): boolean {
  if (end.kind !== "suspended" || answers === undefined) return false;
  return end.questions.length > 0 && end.questions.every(({ questionId }) => answers[questionId] !== undefined);
}
