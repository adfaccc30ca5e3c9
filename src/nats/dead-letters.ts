// Dead letters
//
// Steps that left the work queue without a result, kept in a stream of their own. Their ids are positions there.
//
// X1  A step is buried once for each time it was sent, however often that is tried: the letter names the position the
//     step had in the work queue, and is written only as the next after the one that was looked at. Who may not look
//     (a mere worker) leaves that to the stream, which knows the position for two minutes.
// X2  The letter is written before the step leaves the work queue; a crash between the two repeats the burial (X1).
// X3  Watchers are told in order. A lost hint costs them a while, no letter.

import type { StoredMsg } from "@nats-io/jetstream";
import { z } from "zod";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { closedError } from "../bus/closed-error.ts";
import type { DeadLetter, DeadLetters, StepMessage } from "../bus/ports.ts";
import { JS_CODE, jsCode } from "./bus-errors.ts";
import type { NatsLink } from "./link.ts";
import { encodeName } from "./names.ts";
import { answered, deleteAt, lastOn, messageAt, nextOn } from "./requests.ts";
import { parse, stepShape } from "./shapes.ts";
import type { Spill } from "./spill.ts";
import { standing } from "./standing.ts";
import { isAnswer } from "./store-message.ts";
import { unreadable } from "./wire.ts";

const PAGE = 100;
/** Ids sort by age as text. */
const ID_DIGITS = 15;
const LOOK_EVERY_MS = 10_000;
const RACES_MAX = 10;
const SIGNAL = "dead";

export interface Burial {
  readonly step: StepMessage;
  readonly deliveries: number;
  readonly reason: string;
  /** Position in the work queue; none for a step that never crossed the bus. */
  readonly workSeq?: number;
}

const letterShape = z.object({
  reason: z.string(),
  atMs: z.number(),
  deliveries: z.number().int().min(0),
  workSeq: z.number().exactOptional(),
  step: stepShape,
});

type Letter = DeadLetter & { readonly step: StepMessage };

interface Watcher {
  readonly sessionId: string;
  readonly onDead: (letter: DeadLetter) => void;
}

export class NatsDeadLetters implements DeadLetters {
  readonly #link: NatsLink;
  readonly #spill: Spill;
  readonly #watchers = new Set<Watcher>();
  /** Position up to which watchers were told. */
  #seen: number | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #stopHints: (() => void) | undefined;
  #cancelLook: (() => void) | undefined;
  #closed = false;

  constructor(link: NatsLink, spill: Spill) {
    this.#link = link;
    this.#spill = spill;
  }

  /** @throws {OrchestraError} `ORCH_BUS_UNREACHABLE`; the step is to stay where it is then. */
  async bury(burial: Burial): Promise<void> {
    const { step, deliveries, reason, workSeq } = burial;
    const { agent, sessionId, stepId, attempt } = step;
    const { names, logger, clock } = this.#link;
    const subject = names.dead(agent, sessionId, stepId, attempt);
    const payload = await this.#spill.pack({
      reason,
      atMs: clock.nowMs(),
      deliveries,
      step,
      ...(workSeq !== undefined && { workSeq }),
    });
    for (let race = 0; race < RACES_MAX; race++) {
      const last = await this.#lastLetter(subject);
      if (last !== undefined && workSeq !== undefined && last.workSeq === workSeq) return;
      const written = await this.#write(subject, payload, last?.seq, workSeq);
      if (!written) continue;
      logger.error({ sessionId, stepId, agent, attempt, deliveries, reason }, "step became a dead letter");
      const { nc } = await this.#link.connected();
      nc.publish(names.signal(SIGNAL));
      return;
    }
    throw new TypeError(`${RACES_MAX} others wrote to ${subject} meanwhile`);
  }

  async list({ limit = PAGE, after = "", sessionId }: Parameters<DeadLetters["list"]>[0] = {}): Promise<
    readonly DeadLetter[]
  > {
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw new OrchestraError("ORCH_BAD_OPTION", `limit: expected a whole number from 1, got ${limit}`);
    const filter = this.#filter(sessionId);
    const page: DeadLetter[] = [];
    let from = (seqOf(after) ?? 0) + 1;
    while (page.length < limit) {
      const message = await nextOn(this.#link, this.#stream, filter, from);
      if (message === undefined) break;
      from = message.seq + 1;
      const readable = await this.#readable(message);
      if (readable !== undefined) page.push(bare(readable.letter));
    }
    return page;
  }

  async get(id: string): Promise<Letter | undefined> {
    const message = await this.#messageOf(id);
    return message === undefined ? undefined : (await this.#letterOf(message)).letter;
  }

  async drop(id: string): Promise<boolean> {
    const message = await this.#messageOf(id);
    return message !== undefined && deleteAt(this.#link, this.#stream, message.seq);
  }

  watch(sessionId: string, onDead: (letter: DeadLetter) => void): () => void {
    if (this.#closed) throw closedError(`watch of the dead letters of session "${sessionId}"`);
    const watcher = { sessionId, onDead };
    this.#watchers.add(watcher);
    this.#startLooking();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#stopLooking();
    };
  }

  close(): void {
    this.#closed = true;
    this.#watchers.clear();
    this.#stopLooking();
  }

  get #stream(): string {
    return this.#link.names.streams.dead;
  }

  #filter(sessionId?: string): string {
    return this.#link.names.pattern("dlq", "*", sessionId === undefined ? "*" : encodeName(sessionId), "*", "*");
  }

  async #messageOf(id: string): Promise<StoredMsg | undefined> {
    const seq = seqOf(id);
    const message = seq === undefined ? undefined : await messageAt(this.#link, this.#stream, seq);
    // Advisories stand in the same stream.
    return message?.subject.startsWith(`${this.#link.names.pattern("dlq")}.`) === true ? message : undefined;
  }

  /** Undefined for one that cannot be read: passed over, or it would stand in the way of all the others. */
  async #readable(
    message: StoredMsg,
  ): Promise<{ readonly letter: Letter; readonly workSeq: number | undefined } | undefined> {
    try {
      return await this.#letterOf(message);
    } catch (error) {
      if (!isOrchestraError(error, "ORCH_BUS_PAYLOAD")) throw error;
      this.#link.logger.error({ position: message.seq, error }, "a dead letter cannot be read; passed over");
      return undefined;
    }
  }

  async #letterOf(message: StoredMsg): Promise<{ readonly letter: Letter; readonly workSeq: number | undefined }> {
    const what = `dead letter ${message.seq} of ${this.#stream}`;
    if (isAnswer(message.header)) throw unreadable(what, "it is an answer of the server, and nobody wrote it");
    const body = parse(letterShape, await this.#spill.unpack(message.data, what), what);
    const { step, reason, atMs, deliveries, workSeq } = body;
    const { sessionId, stepId, attempt, agent } = step;
    const id = String(message.seq).padStart(ID_DIGITS, "0");
    return { letter: { id, sessionId, stepId, attempt, agent, reason, atMs, deliveries, step }, workSeq };
  }

  /** Undefined: these credentials may not look. `seq` 0: there is none. */
  async #lastLetter(subject: string): Promise<{ seq: number; workSeq: number | undefined } | undefined> {
    try {
      const last = await lastOn(this.#link, this.#stream, subject);
      return last === undefined
        ? { seq: 0, workSeq: undefined }
        : { seq: last.seq, workSeq: (await this.#readable(last))?.workSeq };
    } catch (error) {
      if (isOrchestraError(error) && error.code === "ORCH_BUS_DENIED") return undefined;
      throw error;
    }
  }

  /** False when another was quicker. */
  async #write(subject: string, payload: Uint8Array, after: number | undefined, workSeq?: number): Promise<boolean> {
    const options = {
      ...(after !== undefined && { expect: { lastSubjectSequence: after } }),
      ...(workSeq !== undefined && { msgID: `${this.#link.names.streams.work}/${workSeq}` }),
    };
    try {
      await answered(this.#link, `write the dead letter ${subject}`, ({ js }) => js.publish(subject, payload, options));
      return true;
    } catch (error) {
      const code = jsCode(error);
      if (code === JS_CODE.wrongLastSequence || code === JS_CODE.wrongLastSequenceConstant) return false;
      throw error;
    }
  }

  #startLooking(): void {
    if (this.#stopHints !== undefined) return;
    const look = (): void => this.#look();
    this.#stopHints = standing(this.#link, this.#link.names.signal(SIGNAL), { onMessage: look, onBack: look });
    const again = (): void => {
      this.#cancelLook = this.#link.clock.setTimer(LOOK_EVERY_MS, () => {
        look();
        again();
      });
    };
    again();
    look();
  }

  #stopLooking(): void {
    this.#stopHints?.();
    this.#cancelLook?.();
    this.#stopHints = undefined;
    this.#cancelLook = undefined;
    this.#seen = undefined;
  }

  /** The first look only finds out where the stream ends. */
  #look(): void {
    if (this.#looking !== undefined) {
      this.#lookAgain = true;
      return;
    }
    this.#lookAgain = false;
    this.#looking = this.#tellNew()
      .catch((error: unknown) => this.#link.logger.warn({ error }, "dead letters could not be looked for"))
      .then(() => {
        this.#looking = undefined;
        if (this.#lookAgain && this.#stopHints !== undefined) this.#look();
      });
  }

  async #tellNew(): Promise<void> {
    const { state } = await answered(this.#link, "look for dead letters", ({ jsm }) => jsm.streams.info(this.#stream));
    this.#seen ??= state.last_seq;
    while (this.#seen < state.last_seq && this.#stopHints !== undefined) {
      const message = await nextOn(this.#link, this.#stream, this.#filter(), this.#seen + 1);
      if (message === undefined) break;
      this.#seen = message.seq;
      const readable = await this.#readable(message);
      if (readable !== undefined) this.#tell(readable.letter);
    }
    if (this.#seen !== undefined) this.#seen = Math.max(this.#seen, state.last_seq);
  }

  #tell(letter: Letter): void {
    for (const watcher of this.#watchers) {
      if (watcher.sessionId !== letter.sessionId) continue;
      try {
        watcher.onDead(bare(letter));
      } catch (error) {
        const { sessionId, stepId } = letter;
        this.#link.logger.error({ sessionId, stepId, error }, "watcher of dead letters threw");
      }
    }
  }
}

function seqOf(id: string): number | undefined {
  const seq = /^\d+$/.test(id) ? Number(id) : 0;
  return Number.isSafeInteger(seq) && seq > 0 ? seq : undefined;
}

function bare({ step: _step, ...letter }: Letter): DeadLetter {
  return letter;
}
