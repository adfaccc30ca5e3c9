// A proxy between NATS clients and a server, for what networks do.
//
// Owns:      the connections that go through it; frames that are dropped, delayed, held; connections that are cut.
// Does not:  know the protocol (nats-frames.ts) or run the server (nats.ts). No TLS: it could not read along.
//
// X1  Frames of one direction of one connection keep their order, whatever is delayed or held.
// X2  A server's INFO loses its `connect_urls`: a client must not find a way around the proxy.

import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type NatsFrame, NatsFrames } from "./nats-frames.ts";

/** A message on its way to the client; `answers`: the subject that the client published to and expects this answer of. */
export interface ProxiedFrame extends NatsFrame {
  readonly answers?: string;
}

export interface InterceptOptions {
  readonly from: "server" | "client";
  readonly when: (frame: ProxiedFrame) => boolean;
  /** `drop`: the frame is lost and the connection goes on. `cut`: it is lost with its connection. Default `drop`. */
  readonly then?: "drop" | "cut";
  /** How many frames at most. Default: every one, until `end()`. */
  readonly times?: number;
}

export interface Interception {
  /** The frames that were caught. */
  readonly caught: readonly ProxiedFrame[];
  /** Resolves with the first frame caught. */
  readonly first: Promise<ProxiedFrame>;
  end(): void;
}

/** A listener on the loopback that forwards to the server at `target`, e.g. `nats://127.0.0.1:4222`. */
export async function startNatsProxy(target: string): Promise<NatsProxy> {
  const { protocol, hostname, port } = new URL(target);
  if (protocol !== "nats:") throw new Error(`a proxy needs a server without TLS to read along, got "${target}"`);
  const listener = createServer();
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(0, "127.0.0.1", resolve);
  });
  return new NatsProxy(listener, { host: hostname, port: Number(port) });
}

/** An answer of JetStream that a message is stored; of a stream and subject, where they are given. */
export function isPubAck(expected: { stream?: string; subject?: string } = {}): (frame: ProxiedFrame) => boolean {
  return ({ verb, payload, answers }) => {
    if ((verb !== "MSG" && verb !== "HMSG") || payload === undefined || payload[0] !== 0x7b) return false;
    const answer = parsed(payload.toString()) as { stream?: unknown; seq?: unknown; type?: unknown; error?: unknown };
    return (
      typeof answer.stream === "string" &&
      typeof answer.seq === "number" &&
      answer.type === undefined &&
      answer.error === undefined &&
      (expected.stream === undefined || answer.stream === expected.stream) &&
      (expected.subject === undefined || answers === expected.subject)
    );
  };
}

/** Requests whose answers a connection still remembers the subject of; the oldest are forgotten. */
const REQUESTS_MAX = 10_000;

interface Rule extends InterceptOptions {
  readonly caught: ProxiedFrame[];
  readonly resolve: (frame: ProxiedFrame) => void;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Subject that was asked, by the inbox that the answer goes to. */
  readonly asked: Map<string, string>;
}

export class NatsProxy {
  readonly url: string;
  readonly #listener: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #links = new Set<Link>();
  readonly #rules = new Set<Rule>();
  #late: (() => Promise<unknown>) | undefined;
  #isRefusing = false;
  #isHeld = false;

  constructor(listener: Server, target: { readonly host: string; readonly port: number }) {
    this.#listener = listener;
    this.#target = target;
    const address = listener.address();
    if (address === null || typeof address === "string") throw new TypeError("the proxy listens on no port");
    this.url = `nats://127.0.0.1:${address.port}`;
    listener.on("connection", (client) => this.#join(client));
  }

  get connections(): number {
    return this.#links.size;
  }

  /** Catches frames from now on. */
  intercept(options: InterceptOptions): Interception {
    const caught: ProxiedFrame[] = [];
    let rule: Rule | undefined;
    const first = new Promise<ProxiedFrame>((resolve) => {
      rule = { ...options, caught, resolve };
      this.#rules.add(rule);
    });
    return { caught, first, end: () => void this.#rules.delete(rule!) };
  }

  /** Every frame, of both directions, arrives this much later, or once what is promised when it passes has come. `0` ends it. */
  delay(by: number | (() => Promise<unknown>)): void {
    this.#late = by === 0 ? undefined : typeof by === "number" ? () => sleep(by) : by;
  }

  /** Closes all connections. New ones are taken, unless `refuse()` came before. */
  cut(): void {
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
  }

  /** Closes new connections at once, until `accept()`. */
  refuse(): void {
    this.#isRefusing = true;
  }

  accept(): void {
    this.#isRefusing = false;
  }

  /** Half-open: connections stay, and new ones are taken, but nothing comes through until `release()`; then all of it. */
  hold(): void {
    this.#isHeld = true;
    for (const link of this.#links) pause(link);
  }

  release(): void {
    this.#isHeld = false;
    for (const { client, server } of this.#links) {
      client.resume();
      server.resume();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.cut();
    await closed;
  }

  #join(client: Socket): void {
    if (this.#isRefusing) {
      client.destroy();
      return;
    }
    const server = connect(this.#target);
    const link: Link = { client, server, asked: new Map() };
    this.#links.add(link);
    this.#forward(link, "client", client, server);
    this.#forward(link, "server", server, client);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.setNoDelay(true);
      // A connection that breaks on one side breaks on the other: the `close` after it says so.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#links.delete(link);
        other.destroy();
      });
    }
    if (this.#isHeld) pause(link);
  }

  #forward(link: Link, from: "server" | "client", source: Socket, destination: Socket): void {
    const frames = new NatsFrames();
    let before = Promise.resolve();
    source.on("data", (chunk: Buffer) => {
      for (const frame of frames.push(chunk)) {
        const known = from === "client" ? remembered(link, frame) : recognised(link, frame);
        const action = this.#actionFor(from, known);
        if (action === "drop") continue;
        if (action === "cut") {
          link.client.destroy();
          link.server.destroy();
          return;
        }
        const late = this.#late?.();
        before = before.then(() => late).then(() => void (destination.destroyed || destination.write(known.bytes)));
      }
    });
  }

  #actionFor(from: "server" | "client", frame: ProxiedFrame): "pass" | "drop" | "cut" {
    for (const rule of this.#rules) {
      if (rule.from !== from || !rule.when(frame)) continue;
      rule.caught.push(frame);
      if (rule.caught.length >= (rule.times ?? Infinity)) this.#rules.delete(rule);
      rule.resolve(frame);
      return rule.then ?? "drop";
    }
    return "pass";
  }
}

function remembered({ asked }: Link, frame: NatsFrame): ProxiedFrame {
  if (frame.replyTo !== undefined && frame.subject !== undefined) {
    asked.set(frame.replyTo, frame.subject);
    if (asked.size > REQUESTS_MAX) asked.delete(asked.keys().next().value!);
  }
  return frame;
}

function recognised({ asked }: Link, frame: NatsFrame): ProxiedFrame {
  if (frame.verb === "INFO") {
    const { connect_urls: _, ...info } = parsed(frame.args[0]!) as { connect_urls?: unknown };
    return { ...frame, bytes: Buffer.from(`INFO ${JSON.stringify(info)}\r\n`) };
  }
  const answers = frame.subject === undefined ? undefined : asked.get(frame.subject);
  return answers === undefined ? frame : { ...frame, answers };
}

function pause({ client, server }: Link): void {
  client.pause();
  server.pause();
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
