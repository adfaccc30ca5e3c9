// Event buffer: the events of one handle between the run and whoever reads them.

import type { RunEvent } from "./engine-api.ts";

const CAPACITY = 10_000;

/** Holds at most 10,000 events nobody has read; beyond it the oldest go, and `dropped` counts them and what was lost on the way here. One reader gets each event. */
export class EventBuffer {
  readonly #events: RunEvent[] = [];
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;
  #dropped = 0;

  get dropped(): number {
    return this.#dropped;
  }

  push(event: RunEvent): void {
    if (this.#events.length >= CAPACITY) {
      this.#events.shift();
      this.#dropped++;
    }
    this.#dropped += event.dropped ?? 0;
    this.#events.push(event);
    this.#wake?.();
  }

  /** No event follows; a failure is thrown to the reader after the last. */
  end(failure?: { readonly error: unknown }): void {
    this.#ended = true;
    this.#failure = failure;
    this.#wake?.();
  }

  async *read(): AsyncGenerator<RunEvent, void, undefined> {
    while (true) {
      const event = this.#events.shift();
      if (event !== undefined) yield event;
      else if (this.#failure !== undefined) throw this.#failure.error;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
