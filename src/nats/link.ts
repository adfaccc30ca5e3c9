// Link
//
// Owns:      one connection to NATS: made at first use, watched, drained at the end.
// Does not:  know what is sent over it.
//
// K1  Nothing is connected before the first call; importing and making a bus touches no network.
// K2  A caller gets the connection only after the server's version and the assets were found good.
// K3  While the connection is being made again callers wait, for a bounded time; then they are told so.
// K4  After every reconnect the listeners of the status are called: hints may have been lost meanwhile.

import { Socket } from "node:net";
import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { closedError } from "../bus/closed-error.ts";
import type { Clock } from "../base/clock.ts";
import { CLOSE_MS, finishedWithin } from "../base/finished-within.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { assertAssets, AssetAdmin, initCommand, type AssetState } from "./assets-admin.ts";
import { openConnection } from "./connection.ts";
import type { Names } from "./names.ts";
import type { BusSettings } from "./options.ts";
import { assertServer } from "./server-version.ts";

export type LinkStatus = "idle" | "connected" | "reconnecting" | "closed";

export interface Connected {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** Of the log, where these credentials may look at it, else of what they may. */
  readonly replicas: 1 | 3 | 5;
  readonly storage: "file" | "memory";
  readonly serverVersion: string;
}

export interface NatsLink {
  readonly names: Names;
  readonly logger: Logger;
  readonly clock: Clock;
  /**
   * Connects at the first call; afterwards resolves at once while connected.
   * @throws {OrchestraError} `ORCH_BUS_UNREACHABLE`, `ORCH_BUS_DENIED`, `ORCH_BUS_SERVER`, `ORCH_BUS_ASSETS`, `ORCH_CLOSED`.
   */
  connected(): Promise<Connected>;
  readonly status: LinkStatus;
  /** Told of every change, and of "connected" after each reconnect. Returns the way to stop. */
  onStatus(listener: (status: LinkStatus) => void): () => void;
  /** Sends what is buffered and closes; idempotent. A server that does not answer is waited for `withinMs`, default 5_000. */
  close(withinMs?: number): Promise<void>;
}

const TOLD_MAX = 100;

export function createLink(settings: BusSettings): NatsLink {
  return new Link(settings);
}

class Link implements NatsLink {
  readonly names: Names;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly #settings: BusSettings;
  readonly #listeners = new Set<(status: LinkStatus) => void>();
  #status: LinkStatus = "idle";
  #opening: Promise<Connected> | undefined;
  #live: Connected | undefined;
  /** Why the server we came back to cannot be used. */
  #refusal: unknown;
  #closing: Promise<void> | undefined;
  readonly #told = new Set<string>();

  constructor(settings: BusSettings) {
    this.#settings = settings;
    this.names = settings.names;
    this.logger = settings.logger;
    this.clock = settings.clock;
  }

  get status(): LinkStatus {
    return this.#status;
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async connected(): Promise<Connected> {
    if (this.#closing !== undefined) throw closedError("used");
    if (this.#live === undefined) return (this.#opening ??= this.#open().finally(() => (this.#opening = undefined)));
    if (this.#status !== "connected") await this.#untilConnected();
    if (this.#refusal !== undefined) throw this.#refusal;
    return this.#live ?? this.connected();
  }

  close(withinMs = CLOSE_MS): Promise<void> {
    this.#closing ??= this.#drain(withinMs);
    return this.#closing;
  }

  async #open(): Promise<Connected> {
    const { names, clock } = this;
    const { servers, init, connectTimeoutMs: patienceMs } = this.#settings;
    const nc = await openConnection(this.#settings, this.clock);
    try {
      this.#checkServer(nc);
      const js = jetstream(nc);
      const jsm = await jetstreamManager(nc, { checkAPI: false });
      const admin = new AssetAdmin({ nc, jsm, names, clock, patienceMs });
      if (init !== undefined) await admin.init(init);
      const states = await admin.read();
      assertAssets(states, initCommand(servers, names));
      if (this.#closing !== undefined) throw closedError("used");
      const live = { nc, js, jsm, ...qualityOf(states), serverVersion: nc.info?.version ?? "unknown" };
      this.#live = live;
      this.#watch(nc);
      this.#setStatus("connected");
      return live;
    } catch (error) {
      await nc.close();
      throw error;
    }
  }

  #checkServer(nc: NatsConnection): void {
    const info = nc.info;
    const warning = assertServer({ version: info?.version ?? "unknown", clustered: info?.cluster !== undefined });
    if (warning !== undefined) this.logger.warn({ server: nc.getServer(), version: info?.version }, warning);
  }

  #watch(nc: NatsConnection): void {
    void (async () => {
      for await (const status of nc.status()) {
        if (status.type === "disconnect") {
          if (this.#status === "connected") {
            this.logger.warn({ server: status.server }, "bus: reconnecting");
            this.#setStatus("reconnecting");
          }
        } else if (status.type === "reconnect") this.#reconnected(nc);
        else if (status.type === "staleConnection") cutSocket(nc);
        else if (status.type === "error") this.#tellError(status.error);
        else if (status.type === "slowConsumer")
          this.logger.warn({ subject: status.sub.getSubject(), pending: status.pending }, "bus: slow consumer");
      }
    })();
    void nc.closed().then((error) => {
      if (this.#live?.nc !== nc) return;
      this.#live = undefined;
      if (this.#closing !== undefined) return;
      this.logger.error({ error }, "bus: connection ended; the next call makes another");
      this.#setStatus("idle");
    });
  }

  /** Each error once per connection: what may not be published, or credentials that are refused, comes again and again. */
  #tellError(error: Error): void {
    if (this.#told.has(error.message) || this.#told.size >= TOLD_MAX) return;
    this.#told.add(error.message);
    this.logger.warn({ error }, "bus: NATS reports an error");
  }

  #reconnected(nc: NatsConnection): void {
    this.#refusal = undefined;
    this.#told.clear();
    try {
      this.#checkServer(nc);
      this.logger.info({ server: nc.getServer() }, "bus: connected again");
      void this.#checkAssets(nc);
    } catch (error) {
      this.#refusal = error;
      this.logger.error({ server: nc.getServer(), error }, "bus: came back to a server that cannot be used");
    }
    this.#setStatus("connected");
  }

  /** A server whose streams were in memory, or whose disk is another, has lost them. Whoever uses one is told by each call. */
  async #checkAssets(nc: NatsConnection): Promise<void> {
    const { names, clock } = this;
    const { servers, connectTimeoutMs: patienceMs } = this.#settings;
    const jsm = this.#live?.jsm;
    if (jsm === undefined) return;
    try {
      const states = await new AssetAdmin({ nc, jsm, names, clock, patienceMs }).read();
      assertAssets(states, initCommand(servers, names));
    } catch (error) {
      if (this.#closing === undefined)
        this.logger.error({ server: nc.getServer(), error }, "bus: came back to a server that is not as it was");
    }
  }

  #setStatus(status: LinkStatus): void {
    this.#status = status;
    for (const listener of [...this.#listeners]) {
      try {
        listener(status);
      } catch (error) {
        this.logger.error({ error }, "listener of the bus status threw");
      }
    }
  }

  #untilConnected(): Promise<void> {
    const { connectTimeoutMs, servers } = this.#settings;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        cancel();
        stop();
      };
      const cancel = this.clock.setTimer(connectTimeoutMs, () => {
        end();
        reject(
          new OrchestraError(
            "ORCH_BUS_UNREACHABLE",
            `bus: reconnecting to NATS at ${servers.join(", ")}, without success for ${connectTimeoutMs} ms`,
            { details: { servers, connectTimeoutMs } },
          ),
        );
      });
      const stop = this.onStatus((status) => {
        end();
        if (status === "closed") reject(closedError("used"));
        else resolve();
      });
    });
  }

  async #drain(withinMs: number): Promise<void> {
    const untilMs = this.clock.monotonicMs() + withinMs;
    const opening = this.#opening?.catch(() => undefined);
    if (opening !== undefined) await finishedWithin(opening, withinMs, this.clock);
    const nc = this.#live?.nc;
    if (nc !== undefined) {
      if (this.#status === "connected") await this.#drained(nc, Math.max(0, untilMs - this.clock.monotonicMs()));
      await nc.close();
    }
    this.#setStatus("closed");
    this.#listeners.clear();
  }

  /** A server that stopped answering would let the drain wait for ever. */
  async #drained(nc: NatsConnection, withinMs: number): Promise<void> {
    const drain = nc.drain().catch((error: unknown) => this.logger.warn({ error }, "bus: drain failed"));
    if (await finishedWithin(drain, withinMs, this.clock)) return;
    this.logger.warn({}, "bus: closed without an answer to what was sent last");
    cutSocket(nc);
  }
}

/**
 * Ends a connection that no longer answers. The client (3.4.0) first waits until what is unsent has left, which is for
 * ever when the server stands still and the buffers of the network are full.
 */
function cutSocket(nc: NatsConnection): void {
  const protocol: unknown = Reflect.get(nc, "protocol");
  const transport: unknown = isObject(protocol) ? protocol["transport"] : undefined;
  const socket: unknown = isObject(transport) ? transport["socket"] : undefined;
  if (socket instanceof Socket) socket.destroy();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function qualityOf(states: readonly AssetState[]): Pick<Connected, "replicas" | "storage"> {
  const config = states.find(({ info }) => info !== undefined)?.info?.config;
  const replicas = config?.num_replicas;
  return {
    replicas: replicas === 3 || replicas === 5 ? replicas : 1,
    storage: config?.storage === "memory" ? "memory" : "file",
  };
}
