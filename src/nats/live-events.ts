// Live events over plain NATS: at most once. What cannot be sent at the moment is dropped, never kept.

import { LocalLiveEvents } from "../bus/local-live-events.ts";
import type { LiveEvent, LiveEvents } from "../bus/ports.ts";
import type { NatsLink } from "./link.ts";
import { standing } from "./standing.ts";
import { decodePayload, encodePayload } from "./wire.ts";

/** Events that wait for the first connection. */
const EARLY_MAX = 1_000;

type Subscription = ReturnType<LiveEvents["subscribe"]>;

export class NatsLiveEvents implements LiveEvents {
  readonly #link: NatsLink;
  /** Holds what subscribers have not seen, and counts what they lose. */
  readonly #local: LocalLiveEvents;
  readonly #sessions = new Map<string, { count: number; readonly stop: () => void }>();
  #early: LiveEvent[] | undefined = [];
  #connecting = false;
  #publish: ((subject: string, payload: Uint8Array) => void) | undefined;
  #dropped = 0;
  #closed = false;

  constructor(link: NatsLink) {
    this.#link = link;
    this.#local = new LocalLiveEvents(link.logger);
    // The next call makes another connection.
    link.onStatus((status) => {
      if (status === "idle") this.#publish = undefined;
    });
  }

  /** Events that were not sent: too large, not serializable, or there was no connection. */
  get dropped(): number {
    return this.#dropped;
  }

  /** After close nothing is published: events are hints, and losing them is no failure. */
  publish(event: LiveEvent): void {
    if (this.#closed) return;
    if (this.#publish !== undefined && this.#link.status === "connected") return this.#send(event);
    if (this.#early !== undefined && this.#early.length < EARLY_MAX) this.#early.push(event);
    else this.#dropped++;
    this.#connect();
  }

  subscribe(sessionId: string, onEvent: (event: unknown) => void, options: { capacity?: number } = {}): Subscription {
    const inner = this.#local.subscribe(sessionId, onEvent, options);
    const session = this.#sessions.get(sessionId);
    if (session !== undefined) session.count++;
    else this.#sessions.set(sessionId, { count: 1, stop: this.#listen(sessionId) });
    let open = true;
    return {
      close: () => {
        if (open) this.#leave(sessionId);
        open = false;
        inner.close();
      },
      get dropped() {
        return inner.dropped;
      },
    };
  }

  close(): void {
    this.#closed = true;
    this.#early = undefined;
    for (const { stop } of this.#sessions.values()) stop();
    this.#sessions.clear();
    this.#local.close();
  }

  #send({ sessionId, event }: LiveEvent): void {
    try {
      this.#publish?.(this.#link.names.events(sessionId), encodePayload(event));
    } catch (error) {
      this.#dropped++;
      this.#link.logger.debug({ sessionId, error }, "a live event was not sent");
    }
  }

  #connect(): void {
    if (this.#connecting) return;
    this.#connecting = true;
    this.#link
      .connected()
      .then(({ nc }) => {
        this.#publish = (subject, payload) => nc.publish(subject, payload);
        for (const event of this.#early?.splice(0) ?? []) this.#send(event);
        this.#early = undefined;
      })
      .catch((error: unknown) => {
        this.#dropped += this.#early?.splice(0).length ?? 0;
        this.#link.logger.debug({ error }, "live events were not sent: no connection");
      })
      .finally(() => (this.#connecting = false));
  }

  #listen(sessionId: string): () => void {
    return standing(this.#link, this.#link.names.events(sessionId), {
      onMessage: ({ data }) => {
        try {
          this.#local.publish({ sessionId, event: decodePayload(data, `live event of session "${sessionId}"`) });
        } catch (error) {
          this.#link.logger.warn({ sessionId, error }, "a live event cannot be read; dropped");
        }
      },
    });
  }

  #leave(sessionId: string): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || --session.count > 0) return;
    session.stop();
    this.#sessions.delete(sessionId);
  }
}
