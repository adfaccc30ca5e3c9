// Network lease: one host's word that it is alive, renewed over the network, run out by the clock of the server.
//
// E1  Renewed every `RENEW_MS` until it is released, whatever fails in between.
// E2  Not held once no renewal was answered for 0.6 of its time, counted from when that renewal was sent.

import type { HostInfo, Lease } from "../../bus/ports.ts";
import type { Connection } from "./sim-network.ts";
import { LEASE_MS, type SimServer } from "./sim-server.ts";

const RENEW_MS = 4_000;
const HELD_MS = 0.6 * LEASE_MS;

export class NetworkLease implements Lease {
  readonly held: Lease["held"];
  readonly #server: SimServer;
  readonly #connection: Connection;
  readonly #mark: string;
  readonly #watchers = new Set<(held: boolean) => void>();
  #info: HostInfo;
  #renewedAtMs = -Infinity;
  #wasHeld = false;
  #ended = false;
  #cancelRenewal = (): void => undefined;
  #cancelLapse = (): void => undefined;

  constructor(server: SimServer, connection: Connection, info: HostInfo, mark: string) {
    this.#server = server;
    this.#connection = connection;
    this.#info = info;
    this.#mark = mark;
    this.held = {
      now: () => this.#isHeld,
      watch: (onChange) => {
        this.#watchers.add(onChange);
        return () => void this.#watchers.delete(onChange);
      },
    };
  }

  /** @throws {OrchestraError} `ORCH_BUS_UNREACHABLE` */
  async announce(): Promise<void> {
    try {
      await this.#connection.insist("announce", () => this.#renewAt(this.#nowMs));
    } catch (error) {
      this.#end();
      throw error;
    }
    this.#plan();
  }

  async update(change: Partial<HostInfo>): Promise<void> {
    this.#info = { ...this.#info, ...change, host: this.#info.host };
    if (!this.#ended) await this.#renew();
  }

  async release(): Promise<void> {
    if (this.#ended) return;
    this.#end();
    await this.#connection.insist("release", () => this.#server.release(this.#info.host, this.#mark));
  }

  get #nowMs(): number {
    return this.#connection.process.machine.scheduler.nowMs;
  }

  get #isHeld(): boolean {
    return !this.#ended && this.#nowMs - this.#renewedAtMs < HELD_MS;
  }

  #plan(): void {
    if (this.#ended) return;
    const { process } = this.#connection;
    this.#cancelRenewal = process.machine.scheduler.after(process.scope, RENEW_MS, "renewal", () => {
      this.#plan();
      this.#renew().catch(() => undefined);
    });
  }

  /** One try: the next renewal is the next. */
  async #renew(): Promise<void> {
    const sentAtMs = this.#nowMs;
    await this.#connection.request("renew", () => this.#renewAt(sentAtMs));
  }

  #renewAt(sentAtMs: number): void {
    if (this.#ended || !this.#server.renew(this.#info, this.#mark)) return;
    this.#connection.deliver("renewed", () => {
      this.#tell();
      this.#renewedAtMs = Math.max(this.#renewedAtMs, sentAtMs);
      this.#tell();
    });
  }

  #tell(): void {
    const { process } = this.#connection;
    const isHeld = this.#isHeld;
    this.#cancelLapse();
    if (isHeld) {
      const leftMs = this.#renewedAtMs + HELD_MS - this.#nowMs;
      this.#cancelLapse = process.machine.scheduler.after(process.scope, leftMs, "lapse", () => this.#tell());
    }
    if (isHeld === this.#wasHeld) return;
    this.#wasHeld = isHeld;
    for (const onChange of this.#watchers) onChange(isHeld);
  }

  #end(): void {
    this.#ended = true;
    this.#cancelRenewal();
    this.#cancelLapse();
    this.#watchers.clear();
  }
}
