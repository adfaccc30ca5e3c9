// Local dead letters
//
// The last DEAD_LETTERS_KEPT are kept; of more, the oldest are forgotten. Who watches is told in a microtask, so that the
// queue is never run through by them.

import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { closedError } from "./closed-error.ts";
import type { BuriedStep } from "./local-step-queue.ts";
import type { DeadLetter, DeadLetters, StepMessage } from "./ports.ts";

const DEAD_LETTERS_KEPT = 1_000;
const PAGE = 100;
/** Ids sort by age as text. */
const ID_DIGITS = 12;

export type KeptLetter = DeadLetter & { readonly step: StepMessage };

interface Watcher {
  readonly sessionId: string;
  readonly onDead: (letter: DeadLetter) => void;
}

export class LocalDeadLetters implements DeadLetters {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #letters = new Map<string, KeptLetter>();
  readonly #watchers = new Set<Watcher>();
  #count = 0;
  #closed = false;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  add({ step, deliveries, reason }: BuriedStep): KeptLetter {
    const { sessionId, stepId, attempt, agent } = step;
    const id = String(++this.#count).padStart(ID_DIGITS, "0");
    const atMs = this.#clock.nowMs();
    const letter = { id, sessionId, stepId, attempt, agent, reason, atMs, deliveries, step };
    this.#letters.set(id, letter);
    for (const oldest of this.#letters.keys()) {
      if (this.#letters.size <= DEAD_LETTERS_KEPT) break;
      this.#letters.delete(oldest);
    }
    queueMicrotask(() => this.#tell(letter));
    return letter;
  }

  async list({ limit = PAGE, after = "", sessionId }: Parameters<DeadLetters["list"]>[0] = {}): Promise<
    readonly DeadLetter[]
  > {
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw new OrchestraError("ORCH_BAD_OPTION", `limit: expected a whole number from 1, got ${limit}`);
    const page: DeadLetter[] = [];
    for (const letter of this.#letters.values()) {
      if (page.length === limit) break;
      if (letter.id > after && (sessionId === undefined || letter.sessionId === sessionId)) page.push(bare(letter));
    }
    return page;
  }

  async get(id: string): Promise<KeptLetter | undefined> {
    return this.#letters.get(id);
  }

  async drop(id: string): Promise<boolean> {
    return this.#letters.delete(id);
  }

  watch(sessionId: string, onDead: (letter: DeadLetter) => void): () => void {
    if (this.#closed) throw closedError(`watch of the dead letters of session "${sessionId}"`);
    const watcher = { sessionId, onDead };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  close(): void {
    this.#closed = true;
    this.#watchers.clear();
  }

  #tell(letter: KeptLetter): void {
    for (const watcher of this.#watchers) {
      if (watcher.sessionId !== letter.sessionId) continue;
      try {
        watcher.onDead(bare(letter));
      } catch (error) {
        const { sessionId, stepId } = letter;
        this.#logger.error({ sessionId, stepId, error }, "watcher of dead letters threw");
      }
    }
  }
}

function bare({ step: _step, ...letter }: KeptLetter): DeadLetter {
  return letter;
}
