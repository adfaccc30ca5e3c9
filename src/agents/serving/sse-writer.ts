// SSE writer
//
// Owns:      the stream of one answer: its order, its heartbeats, and what waits for a caller who reads slowly.
//
// W1  Events go out in the order they were sent. What waits is bounded: beyond `pendingBytesMax` deltas are left out and
//     counted, an event that ends the stream never is.
// W2  A caller who takes nothing for `stallMs` is taken to be gone.

import type { ServerResponse } from "node:http";

import type { Clock } from "../../base/clock.ts";

export interface SseWriterOptions {
  readonly clock: Clock;
  readonly heartbeatMs: number;
  readonly stallMs: number;
  readonly pendingBytesMax: number;
}

export class SseWriter {
  readonly #response: ServerResponse;
  readonly #options: SseWriterOptions;
  #cancelBeat: (() => void) | undefined;
  #cancelStall: (() => void) | undefined;
  #omitted = 0;

  constructor(response: ServerResponse, options: SseWriterOptions) {
    this.#response = response;
    this.#options = options;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // Proxies would hold the stream back to compress or collect it.
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
    });
    response.flushHeaders();
    response.on("drain", () => this.#flowing());
    response.on("close", () => this.#stop());
    this.#beat();
  }

  /** Events that a slow caller was not told of. */
  get omitted(): number {
    return this.#omitted;
  }

  /** More waits for the caller than is kept for it. */
  get isFull(): boolean {
    return this.#response.writableLength > this.#options.pendingBytesMax;
  }

  /** What the caller can do without, should it read too slowly. */
  offer(event: string, data: unknown): void {
    if (this.isFull) this.#omitted++;
    else this.send(event, data);
  }

  send(event: string, data: unknown): void {
    this.#write(`${event === "message" ? "" : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`);
  }

  /** Idempotent. What waits is still sent, and nothing after it. */
  end(): void {
    if (this.#response.writableEnded) return;
    this.#cancelBeat?.();
    this.#response.end();
  }

  #write(text: string): void {
    if (this.#response.destroyed || this.#response.writableEnded) return;
    if (!this.#response.write(text)) this.#stalling();
  }

  #beat(): void {
    const { clock, heartbeatMs } = this.#options;
    this.#cancelBeat = clock.setTimer(heartbeatMs, () => {
      if (!this.#response.writableNeedDrain) this.#write(": alive\n\n");
      this.#beat();
    });
  }

  #stalling(): void {
    this.#cancelStall ??= this.#options.clock.setTimer(this.#options.stallMs, () => this.#response.destroy());
  }

  #flowing(): void {
    this.#cancelStall?.();
    this.#cancelStall = undefined;
  }

  #stop(): void {
    this.#flowing();
    this.#cancelBeat?.();
  }
}
