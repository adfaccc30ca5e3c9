// Result register on JetStream
//
// Owns:      the first result of each attempt: in a write-once stream, or in this process for a step it kept to itself.
// Does not:  know what a result means, or offer steps.
// Crossing:  put → stream, then a hint to the session's owner; hint → watchers.
//
// R1  The stream decides which result is first (B3); only then is anybody told.
// R2  A hint carries the result. It may be lost: who watches looks again after a reconnect, and for steps it sent now and
//     then (lost-steps.ts). A watcher is told of one result once.
// R3  The result of a step that was kept in this process stays in it as long as the session is followed here: the log is
//     what counts. When it is not, the result goes to the stream, where the next owner finds it.
// R4  What stands in the place of a result and cannot be read is one without a body to who asks for that very result, or
//     its step would never end; lists pass over it.

import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { LocalResults } from "../bus/local-results.ts";
import { closedError } from "../bus/closed-error.ts";
import type { ResultRegister, StepAttempt, StepResult } from "../bus/ports.ts";
import { isFull, JS_CODE, jsCode } from "./bus-errors.ts";
import { encodeName } from "./names.ts";
import type { NatsParts } from "./parts.ts";
import type { OutstandingSteps } from "./outstanding-steps.ts";
import { answered, lastOn, mapSome, purge, subjectsOf } from "./requests.ts";
import { hintShape, parse, read, type ResultHint } from "./shapes.ts";
import { standing } from "./standing.ts";
import { decodePayload, encodePayload } from "./wire.ts";

/** Results of one session that are remembered as told; a hint that comes later than so many others is told again. */
const TOLD_MAX = 512;

interface Watched {
  readonly watchers: Set<{ readonly onResult: (result: StepResult) => void }>;
  /** Position in the stream of the result last told, by step and attempt. */
  readonly told: Map<string, number>;
  readonly stop: () => void;
  /** What was told must stay in order while hints are unpacked. */
  turn: Promise<void>;
}

export class NatsResults implements ResultRegister {
  readonly #parts: NatsParts;
  readonly #steps: OutstandingSteps;
  readonly #here: LocalResults;
  readonly #watched = new Map<string, Watched>();
  #closed = false;

  constructor(parts: NatsParts, steps: OutstandingSteps) {
    this.#parts = parts;
    this.#steps = steps;
    this.#here = new LocalResults(parts.link.logger);
  }

  /** @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE`, `ORCH_OVERLOADED`, `ORCH_BUS_UNREACHABLE`; the result is not registered then, as far as is known. */
  async put(result: StepResult): Promise<"first" | "already"> {
    if (this.#closed) throw closedError("put of a result");
    const watched = this.#watched.get(result.sessionId);
    if (watched !== undefined && this.#steps.kept.get(result)?.state === "open") {
      const answer = await this.#here.put(result);
      if (answer === "first") queueMicrotask(() => this.#tell(watched, result, 0));
      return answer;
    }
    return this.#putOnBus(result);
  }

  async get(sessionId: string, stepId: string, attempt: number): Promise<StepResult | undefined> {
    const here = await this.#here.get(sessionId, stepId, attempt);
    return here ?? (await this.#readOf({ sessionId, stepId, attempt }))?.result;
  }

  async list(sessionId: string): Promise<readonly StepResult[]> {
    const here = await this.#here.list(sessionId);
    const onBus = await this.#listOnBus(sessionId);
    const isHere = (one: StepResult): boolean =>
      here.some(({ stepId, attempt }) => stepId === one.stepId && attempt === one.attempt);
    return [...here, ...onBus.map(({ result }) => result).filter((result) => !isHere(result))];
  }

  watch(sessionId: string, onResult: (result: StepResult) => void): () => void {
    if (this.#closed) throw closedError(`watch of session "${sessionId}"`);
    const watcher = { onResult };
    const watched = this.#watched.get(sessionId) ?? this.#follow(sessionId);
    watched.watchers.add(watcher);
    return () => {
      watched.watchers.delete(watcher);
      if (watched.watchers.size === 0 && this.#watched.get(sessionId) === watched) this.#unfollow(sessionId, watched);
    };
  }

  async forget(sessionId: string, one?: StepAttempt): Promise<void> {
    const { link } = this.#parts;
    const { names } = link;
    if (one === undefined) {
      await this.#here.forget(sessionId);
      this.#steps.sent.deleteAll(sessionId);
      await purge(link, names.streams.results, names.pattern("res", encodeName(sessionId), "*", "*"));
      return;
    }
    const { stepId, attempt } = one;
    const wasSent = this.#steps.sent.delete({ sessionId, stepId, attempt });
    const wasHere = (await this.#here.get(sessionId, stepId, attempt)) !== undefined;
    await this.#here.forget(sessionId, one);
    if (wasSent || !wasHere) await purge(link, names.streams.results, names.result(sessionId, stepId, attempt));
  }

  /** Tells watchers of a result that is in the stream, if it is and they were not told. False when there is none. */
  async look(sessionId: string, stepId: string, attempt: number): Promise<boolean> {
    const found = await this.#readOf({ sessionId, stepId, attempt });
    const watched = this.#watched.get(sessionId);
    if (found !== undefined && watched !== undefined) this.#tell(watched, found.result, found.seq);
    return found !== undefined;
  }

  close(): void {
    this.#closed = true;
    for (const watched of this.#watched.values()) {
      watched.watchers.clear();
      watched.stop();
    }
    this.#watched.clear();
    this.#here.close();
  }

  async #putOnBus(result: StepResult): Promise<"first" | "already"> {
    const { link, spill } = this.#parts;
    const { sessionId, stepId, attempt, body } = result;
    const packed = await spill.pack({ sessionId, stepId, attempt, body });
    const subject = link.names.result(sessionId, stepId, attempt);
    try {
      const { seq } = await answered(link, `put the result of step ${stepId} of session "${sessionId}"`, ({ js }) =>
        js.publish(subject, packed),
      );
      this.#hint(sessionId, { stepId, attempt, seq, packed });
      return "first";
    } catch (error) {
      if (isFull(error))
        throw new OrchestraError(
          "ORCH_OVERLOADED",
          `the result of step ${stepId} of session "${sessionId}" was not registered: ${link.names.streams.results} is full (${(error as Error).message})`,
          { cause: error, details: { sessionId, stepId, stream: link.names.streams.results } },
        );
      if (jsCode(error) !== JS_CODE.maxMessagesPerSubject) throw error;
      this.#hint(sessionId, { stepId, attempt, seq: 0 });
      return "already";
    }
  }

  #hint(sessionId: string, hint: ResultHint): void {
    const { link } = this.#parts;
    link
      .connected()
      .then(({ nc }) => nc.publish(link.names.done(sessionId), encodePayload(hint)))
      .catch((error: unknown) => link.logger.debug({ sessionId, stepId: hint.stepId, error }, "a hint was not sent"));
  }

  #follow(sessionId: string): Watched {
    const { link } = this.#parts;
    const watched: Watched = {
      watchers: new Set(),
      told: new Map(),
      turn: Promise.resolve(),
      stop: standing(link, link.names.done(sessionId), {
        onMessage: ({ data }) => this.#inTurn(sessionId, watched, () => this.#hinted(sessionId, watched, data)),
        onBack: () => this.#inTurn(sessionId, watched, () => this.#lookAtAll(sessionId, watched)),
      }),
    };
    this.#watched.set(sessionId, watched);
    return watched;
  }

  /** R3. */
  #unfollow(sessionId: string, watched: Watched): void {
    this.#watched.delete(sessionId);
    watched.stop();
    this.#steps.dropSession(sessionId);
    void this.#handOver(sessionId);
  }

  async #handOver(sessionId: string): Promise<void> {
    for (const result of await this.#here.list(sessionId)) {
      try {
        await this.#putOnBus(result);
      } catch (error) {
        const { stepId } = result;
        this.#parts.link.logger.warn(
          { sessionId, stepId, error },
          "a result was not left behind; its step may run again",
        );
      }
    }
    if (!this.#watched.has(sessionId)) await this.#here.forget(sessionId);
  }

  #inTurn(sessionId: string, watched: Watched, act: () => Promise<void>): void {
    watched.turn = watched.turn
      .then(act)
      .catch((error: unknown) => this.#parts.link.logger.warn({ sessionId, error }, "a hint of a result is of no use"));
  }

  async #hinted(sessionId: string, watched: Watched, data: Uint8Array): Promise<void> {
    const what = `hint of a result of session "${sessionId}"`;
    const { stepId, attempt, seq, packed } = parse(hintShape, decodePayload(data, what), what);
    if (packed === undefined) return void (await this.look(sessionId, stepId, attempt));
    if (watched.told.get(`${stepId}\n${attempt}`) === seq) return;
    const result = read.result(await this.#parts.spill.unpack(packed, what), what);
    if (result.sessionId === sessionId) this.#tell(watched, result, seq);
  }

  async #lookAtAll(sessionId: string, watched: Watched): Promise<void> {
    for (const { result, seq } of await this.#listOnBus(sessionId)) this.#tell(watched, result, seq);
  }

  /** R2. `seq` 0: it never was in the stream. */
  #tell(watched: Watched, result: StepResult, seq: number): void {
    const key = `${result.stepId}\n${result.attempt}`;
    if (seq > 0) {
      if (watched.told.get(key) === seq) return;
      watched.told.delete(key);
      watched.told.set(key, seq);
      for (const oldest of watched.told.keys()) {
        if (watched.told.size <= TOLD_MAX) break;
        watched.told.delete(oldest);
      }
    }
    this.#steps.sent.delete(result);
    for (const watcher of watched.watchers) {
      try {
        watcher.onResult(result);
      } catch (error) {
        const { sessionId, stepId } = result;
        this.#parts.link.logger.error({ sessionId, stepId, error }, "result watcher threw");
      }
    }
  }

  async #listOnBus(sessionId: string): Promise<{ result: StepResult; seq: number }[]> {
    const { link } = this.#parts;
    const { names } = link;
    const subjects = await subjectsOf(
      link,
      names.streams.results,
      names.pattern("res", encodeName(sessionId), "*", "*"),
    );
    const found = await mapSome(subjects, (subject) =>
      this.#read(subject).catch((error: unknown) => this.#passOver(error)),
    );
    return found.filter((one) => one !== undefined).sort((a, b) => a.seq - b.seq);
  }

  /** R4 */
  async #readOf(of: Omit<StepResult, "body">): Promise<{ result: StepResult; seq: number } | undefined> {
    const { names } = this.#parts.link;
    const subject = names.result(of.sessionId, of.stepId, of.attempt);
    try {
      return await this.#read(subject);
    } catch (error) {
      this.#passOver(error);
      const standing = await lastOn(this.#parts.link, names.streams.results, subject);
      return standing === undefined ? undefined : { result: { ...of, body: null }, seq: standing.seq };
    }
  }

  #passOver(error: unknown): undefined {
    if (!isOrchestraError(error, "ORCH_BUS_PAYLOAD")) throw error;
    this.#parts.link.logger.error({ error }, "a result cannot be read; passed over");
  }

  async #read(subject: string): Promise<{ result: StepResult; seq: number } | undefined> {
    const { link, spill } = this.#parts;
    const message = await lastOn(link, link.names.streams.results, subject);
    if (message === undefined) return undefined;
    const what = `result ${subject}`;
    return { result: read.result(await spill.unpack(message.data, what), what), seq: message.seq };
  }
}
