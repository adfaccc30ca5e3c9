// A message of a pull consumer, and what may be answered to it (ADR-15).

import { nanos, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import { isUnanswered } from "./bus-errors.ts";
import { isAnswer } from "./store-message.ts";

export class Pulled {
  readonly #message: Msg;
  /** From 1. */
  readonly delivery: number;
  /** Position in the stream. */
  readonly seq: number;

  constructor(message: Msg) {
    this.#message = message;
    // $JS.ACK.<stream>.<consumer>.<delivery>.<seq>.… or, newer, $JS.ACK.<domain>.<account>.<stream>.<consumer>.<delivery>.<seq>.…
    const tokens = (message.reply ?? "").split(".");
    const at = tokens.length === 9 ? 4 : 6;
    this.delivery = Number(tokens[at]);
    this.seq = Number(tokens[at + 1]);
  }

  get subject(): string {
    return this.#message.subject;
  }
  get data(): Uint8Array {
    return this.#message.data;
  }
  get headers(): MsgHdrs | undefined {
    return this.#message.headers;
  }

  /** Nobody sent it: somebody had the server answer to its subject. */
  get isAnswer(): boolean {
    return isAnswer(this.#message.headers);
  }

  /** It is done with, and leaves a work queue. Late, too: the server takes it from whoever had it. */
  ack(): void {
    this.#answer("+ACK");
  }
  handBack(delayMs: number): void {
    this.#answer(delayMs > 0 ? `-NAK ${JSON.stringify({ delay: nanos(delayMs) })}` : "-NAK");
  }
  beat(): void {
    this.#answer("+WPI");
  }
  /** It leaves a work queue and is not handed out again. */
  term(): void {
    this.#answer("+TERM");
  }

  // An answer that does not arrive costs a repeat, no more.
  #answer(text: string): void {
    try {
      this.#message.respond(text);
    } catch (error) {
      if (!isUnanswered(error)) throw error;
    }
  }
}
