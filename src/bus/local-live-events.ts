// Local live events
//
// L1  `publish` only writes down; subscribers are called in a microtask, in batches, in order of publishing.
// L2  A subscriber holds at most `capacity` events that it has not seen; of more, the oldest are dropped and counted.
// L3  A listener that throws is reported to the logger and stays subscribed.

import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { closedError } from "./closed-error.ts";
import type { LiveEvent, LiveEvents } from "./ports.ts";

const DEFAULT_LIVE_CAPACITY = 1_000;

interface Subscriber {
  readonly sessionId: string;
  readonly onEvent: (event: unknown) => void;
  readonly capacity: number;
  /** Unseen events from `head` on. */
  unseen: unknown[];
  head: number;
  dropped: number;
  closed: boolean;
}

export class LocalLiveEvents implements LiveEvents {
  readonly #logger: Logger;
  readonly #subscribers = new Map<string, readonly Subscriber[]>();
  #due: Subscriber[] = [];
  #planned = false;
  #closed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** After close nothing is published: events are hints, and losing them is no failure. */
  publish(event: LiveEvent): void {
    const subscribers = this.#subscribers.get(event.sessionId);
    if (subscribers === undefined) return;
    for (const subscriber of subscribers) this.#hold(subscriber, event.event);
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => this.#deliver());
  }

  subscribe(
    sessionId: string,
    onEvent: (event: unknown) => void,
    options: { capacity?: number } = {},
  ): { close(): void; readonly dropped: number } {
    if (this.#closed) throw closedError(`subscribe to session "${sessionId}"`);
    const capacity = options.capacity ?? DEFAULT_LIVE_CAPACITY;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new OrchestraError("ORCH_BAD_OPTION", `capacity: expected a whole number from 1, got ${capacity}`);
    }
    const subscriber: Subscriber = { sessionId, onEvent, capacity, unseen: [], head: 0, dropped: 0, closed: false };
    this.#subscribers.set(sessionId, [...(this.#subscribers.get(sessionId) ?? []), subscriber]);
    return {
      close: () => this.#unsubscribe(subscriber),
      get dropped() {
        return subscriber.dropped;
      },
    };
  }

  close(): void {
    this.#closed = true;
    for (const subscribers of this.#subscribers.values()) for (const one of subscribers) one.closed = true;
    this.#subscribers.clear();
  }

  #hold(subscriber: Subscriber, event: unknown): void {
    const { unseen } = subscriber;
    if (unseen.length === subscriber.head) this.#due.push(subscriber);
    unseen.push(event);
    if (unseen.length - subscriber.head <= subscriber.capacity) return;
    unseen[subscriber.head++] = undefined;
    subscriber.dropped++;
    if (subscriber.head <= subscriber.capacity) return;
    subscriber.unseen = unseen.slice(subscriber.head);
    subscriber.head = 0;
  }

  #deliver(): void {
    const due = this.#due;
    this.#due = [];
    this.#planned = false;
    for (const subscriber of due) {
      const { unseen, head } = subscriber;
      subscriber.unseen = [];
      subscriber.head = 0;
      for (let i = head; i < unseen.length; i++) this.#call(subscriber, unseen[i]);
    }
  }

  #call(subscriber: Subscriber, event: unknown): void {
    if (subscriber.closed) return;
    try {
      subscriber.onEvent(event);
    } catch (error) {
      this.#logger.error({ sessionId: subscriber.sessionId, error }, "listener of live events threw");
    }
  }

  #unsubscribe(subscriber: Subscriber): void {
    subscriber.closed = true;
    const { sessionId } = subscriber;
    const left = (this.#subscribers.get(sessionId) ?? []).filter((one) => one !== subscriber);
    if (left.length === 0) this.#subscribers.delete(sessionId);
    else this.#subscribers.set(sessionId, left);
  }
}
