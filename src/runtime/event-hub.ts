// Event hub
//
// Owns:      who listens to the events of which session, and how far behind they may fall.
// Does not:  read the log; a subscriber that fell behind does that itself (events.ts).
//
// H1  A run never waits for a listener: what is published goes into a bounded buffer.
// H2  A full buffer is emptied and marked as lagging: the reader goes back to the log from where it stands, so nothing
//     is lost but chunks, which are live only: one that finds no room is dropped, and the next event says how many were.
// H3  Without a listener an event costs a map lookup.

import type { KernelEvent } from "../actors/effects.ts";
import type { CallReport } from "../base/call-report.ts";

export interface EventBatch {
  readonly n: number;
  readonly atMs: number;
  readonly runId: string;
  readonly events: readonly KernelEvent[];
}

/** What observers are shown while it happens, and what is in no log. */
export type LiveOnlyEvent = {
  readonly stepId: string;
  readonly branchId: string;
  readonly node: string;
  readonly atMs: number;
  readonly runId: string;
  /** The last commit of its session when it came; absent where that is not known, the session being live elsewhere. */
  readonly n?: number;
  /** Of those, lost before this one, because the reader was too far behind. */
  readonly dropped?: number;
} & (
  | { readonly type: "step.chunk"; readonly chunk: unknown }
  | { readonly type: "step.called"; readonly attempt: number; readonly call: CallReport }
  | { readonly type: "step.unserved"; readonly attempt: number; readonly agent: string }
);

export type HubItem =
  /** `dropped`: live events lost before it. */
  | { readonly type: "batch"; readonly batch: EventBatch; readonly dropped?: number }
  | { readonly type: "shown"; readonly event: LiveOnlyEvent };

/** Items a subscriber may be behind before it is sent back to the log. */
const BUFFER_MAX = 8_192;

export class Subscription {
  #buffer: HubItem[] = [];
  #head = 0;
  #wake: (() => void) | null = null;
  /** Nudged while nobody waited: the next wait returns at once, or what the nudge was about would be slept through. */
  #nudged = false;
  #dropped = 0;
  lagging = false;

  push(item: HubItem): void {
    if (item.type === "shown") this.#pushShown(item.event);
    else if (!this.lagging) {
      if (this.#full) {
        this.#dropped += this.#buffer.slice(this.#head).filter((one) => one.type === "shown").length;
        this.#buffer = [];
        this.#head = 0;
        this.lagging = true;
      } else {
        const dropped = this.takeDropped();
        this.#buffer.push(dropped === 0 ? item : { ...item, dropped });
      }
    }
    this.#wakeUp();
  }

  /** Chunks lost that nobody was told of; whoever asks tells it. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  #pushShown(event: LiveOnlyEvent): void {
    if (this.lagging || this.#full) {
      this.#dropped++;
      return;
    }
    this.#buffer.push({ type: "shown", event: this.#dropped === 0 ? event : { ...event, dropped: this.#dropped } });
    this.#dropped = 0;
  }

  get #full(): boolean {
    return this.#buffer.length - this.#head >= BUFFER_MAX;
  }

  shift(): HubItem | undefined {
    const item = this.#buffer[this.#head];
    if (item === undefined) {
      if (this.#head > 0) {
        this.#buffer = [];
        this.#head = 0;
      }
      return undefined;
    }
    this.#head++;
    return item;
  }

  get pending(): boolean {
    return this.#head < this.#buffer.length;
  }

  /** Buffers again from here on; what was missed is read from the log next. */
  catchUp(): void {
    this.#buffer = [];
    this.#head = 0;
    this.lagging = false;
  }

  nudge(): void {
    if (this.#wake === null) this.#nudged = true;
    else this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  /** Resolves at the next push or nudge; at once when something is buffered. */
  wait(): Promise<void> {
    if (this.lagging || this.pending || this.#nudged) {
      this.#nudged = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export class EventHub {
  readonly #sessions = new Map<string, Set<Subscription>>();
  readonly #listenElsewhere: ((sessionId: string) => () => void) | undefined;
  readonly #elsewhere = new Map<string, () => void>();
  closed = false;

  /** `listenElsewhere` is called for a session as long as anybody listens to it here: where other hosts have sessions, too. */
  constructor(listenElsewhere?: (sessionId: string) => () => void) {
    this.#listenElsewhere = listenElsewhere;
  }

  subscribe(sessionId: string): Subscription {
    const subscription = new Subscription();
    let listeners = this.#sessions.get(sessionId);
    if (listeners === undefined) {
      this.#sessions.set(sessionId, (listeners = new Set()));
      if (this.#listenElsewhere !== undefined) this.#elsewhere.set(sessionId, this.#listenElsewhere(sessionId));
    }
    listeners.add(subscription);
    return subscription;
  }

  unsubscribe(sessionId: string, subscription: Subscription): void {
    const listeners = this.#sessions.get(sessionId);
    if (listeners === undefined) return;
    listeners.delete(subscription);
    if (listeners.size > 0) return;
    this.#sessions.delete(sessionId);
    this.#elsewhere.get(sessionId)?.();
    this.#elsewhere.delete(sessionId);
  }

  publish(sessionId: string, batch: EventBatch): void {
    const listeners = this.#sessions.get(sessionId);
    if (listeners !== undefined && batch.events.length > 0)
      for (const listener of listeners) listener.push({ type: "batch", batch });
  }

  show(sessionId: string, event: LiveOnlyEvent): void {
    const listeners = this.#sessions.get(sessionId);
    if (listeners !== undefined) for (const listener of listeners) listener.push({ type: "shown", event });
  }

  /** The session's run stopped moving, or came or went: readers look again whether they are done. */
  nudge(sessionId: string): void {
    const listeners = this.#sessions.get(sessionId);
    if (listeners !== undefined) for (const listener of listeners) listener.nudge();
  }

  close(): void {
    this.closed = true;
    for (const listeners of this.#sessions.values()) for (const listener of listeners) listener.nudge();
  }
}
