// Liveness on a bucket
//
// A host is alive while its key is: the server removes it `leaseMs` after the last renewal, by its own clock. Nobody compares clocks.
//
// A1  Who is alive is read from the leader. What watchers were told is a cache, renewed by the renewals that pass by.
// A2  Before nats-server 2.11 nobody is told that a key has run out: who watches reads again when a renewal is overdue.
// A3  A lease knows its own record by a mark in it; it overwrites and removes no other. One that ran out and that nobody
//     took over is announced anew.

import { headers, millis, nuid } from "@nats-io/transport-node";
import { z } from "zod";
import { closedError } from "../bus/closed-error.ts";
import type { HostInfo, Lease, Liveness } from "../bus/ports.ts";
import { DEFAULT_LEASE_MS, streamOfBucket } from "./assets.ts";
import { JS_CODE, jsCode } from "./bus-errors.ts";
import { HostLease, type HostRecord } from "./host-lease.ts";
import { encodeName } from "./names.ts";
import type { NatsParts } from "./parts.ts";
import { answered, lastOn, mapSome, subjectsOf } from "./requests.ts";
import { parse } from "./shapes.ts";
import { standing } from "./standing.ts";
import { decodePayload, encodePayload } from "./wire.ts";

const OPERATION_HEADER = "KV-Operation";

const strings = z.array(z.string());
const hostShape = z.object({
  mark: z.string(),
  info: z.object({
    host: z.string(),
    agents: strings,
    sessions: z.number(),
    version: z.string(),
    slots: z.number(),
    running: z.number(),
    topologies: strings,
    startedAtMs: z.number(),
    adopts: z.boolean(),
    pid: z.number().exactOptional(),
    labels: z.record(z.string(), z.string()).exactOptional(),
  }),
});

interface Seen {
  readonly info: HostInfo;
  readonly text: string;
  renewedAtMs: number;
}

type Watcher = (hosts: readonly HostInfo[]) => void;

export class NatsLiveness implements Liveness {
  readonly #parts: NatsParts;
  /** The bucket's own is learned at first use. */
  #leaseMs: number;
  #learned: Promise<void> | undefined;
  readonly #leases = new Map<string, HostLease>();
  readonly #watchers = new Set<{ readonly onChange: Watcher }>();
  /** What watchers know, by key. */
  readonly #seen = new Map<string, Seen>();
  #told = "";
  #stopHints: (() => void) | undefined;
  #cancelOverdue: (() => void) | undefined;
  #reading: Promise<void> | undefined;
  #thisRead: Promise<Map<string, HostRecord>> | undefined;
  #nextRead: Promise<Map<string, HostRecord>> | undefined;
  #readAgain = false;
  #closed = false;

  constructor(parts: NatsParts) {
    this.#parts = parts;
    this.#leaseMs = parts.settings.init?.leaseMs ?? DEFAULT_LEASE_MS;
  }

  /** A host that announces itself again under the same name replaces its earlier lease. */
  async announce(info: HostInfo): Promise<Lease> {
    if (this.#closed) throw closedError(`announce of host "${info.host}"`);
    await this.#learnLease();
    this.#leases.get(info.host)?.replaced();
    const { link, settings } = this.#parts;
    const lease = new HostLease({
      clock: link.clock,
      logger: link.logger,
      leaseMs: this.#leaseMs,
      renewMs: settings.renewMs,
      info,
      mark: nuid.next(),
      read: () => this.#record(info.host),
      write: (record, expected) => this.#write(record, expected),
      remove: (expected) => this.#remove(info.host, expected),
      onEnded: () => {
        if (this.#leases.get(info.host) === lease) this.#leases.delete(info.host);
      },
    });
    this.#leases.set(info.host, lease);
    await lease.announce();
    return lease;
  }

  /** @throws {OrchestraError} `ORCH_BUS_UNREACHABLE`: nobody is taken for dead because we cannot see. */
  async alive(): Promise<readonly HostInfo[]> {
    return [...(await this.#readForAll()).values()].map(({ info }) => info);
  }

  /** All who ask while one read is under way share the next, which begins after they asked. */
  #readForAll(): Promise<Map<string, HostRecord>> {
    if (this.#nextRead !== undefined) return this.#nextRead;
    const before: Promise<unknown> = this.#thisRead ?? Promise.resolve();
    const next = before
      .catch(() => undefined)
      .then(() => {
        this.#nextRead = undefined;
        const read = this.#readAll().finally(() => {
          if (this.#thisRead === read) this.#thisRead = undefined;
        });
        this.#thisRead = read;
        return read;
      });
    this.#nextRead = next;
    return next;
  }

  watch(onChange: Watcher): () => void {
    if (this.#closed) throw closedError("watch of the hosts");
    const watcher = { onChange };
    this.#watchers.add(watcher);
    this.#stopHints ??= standing(this.#parts.link, this.#subject("*"), {
      onMessage: (message) => this.#hinted(message.subject, message.data, message.headers?.get(OPERATION_HEADER) ?? ""),
      onBack: () => this.#refresh(),
    });
    this.#refresh();
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#stopWatching();
    };
  }

  close(): void {
    this.#closed = true;
    for (const lease of this.#leases.values()) lease.replaced();
    this.#leases.clear();
    this.#watchers.clear();
    this.#stopWatching();
  }

  get #stream(): string {
    return streamOfBucket(this.#parts.link.names.buckets.hosts);
  }

  #learnLease(): Promise<void> {
    this.#learned ??= answered(this.#parts.link, "look at how long hosts count as alive", ({ jsm }) =>
      jsm.streams.info(this.#stream),
    ).then(
      ({ config }) => {
        if (config.max_age > 0) this.#leaseMs = millis(config.max_age);
      },
      (error: unknown) => {
        this.#learned = undefined;
        throw error;
      },
    );
    return this.#learned;
  }

  #subject(key: string): string {
    return `$KV.${this.#parts.link.names.buckets.hosts}.${key}`;
  }

  async #record(host: string): Promise<{ record: HostRecord | undefined; revision: number }> {
    const message = await lastOn(this.#parts.link, this.#stream, this.#subject(encodeName(host)));
    if (message === undefined) return { record: undefined, revision: 0 };
    const isGone = message.header.get(OPERATION_HEADER) !== "";
    // One that cannot be read is nobody's: the host that has the name writes over it.
    return { record: isGone ? undefined : this.#readable(message.data, message.subject), revision: message.seq };
  }

  /** Undefined when another wrote after `expected`. */
  async #write(record: HostRecord, expected: number): Promise<number | undefined> {
    const payload = encodePayload(record);
    return this.#after(record.info.host, expected, payload, {});
  }

  async #remove(host: string, expected: number): Promise<void> {
    await this.#after(host, expected, new Uint8Array(), { [OPERATION_HEADER]: "DEL" });
  }

  async #after(
    host: string,
    expected: number,
    payload: Uint8Array,
    more: Record<string, string>,
  ): Promise<number | undefined> {
    try {
      const ack = await answered(
        this.#parts.link,
        `renew the lease of host "${host}"`,
        ({ js }) => {
          const sent = headers();
          for (const [key, value] of Object.entries(more)) sent.set(key, value);
          return js.publish(this.#subject(encodeName(host)), payload, {
            headers: sent,
            expect: { lastSubjectSequence: expected },
          });
        },
        this.#leaseMs,
      );
      return ack.seq;
    } catch (error) {
      const code = jsCode(error);
      if (code === JS_CODE.wrongLastSequence || code === JS_CODE.wrongLastSequenceConstant) return undefined;
      throw error;
    }
  }

  async #readAll(): Promise<Map<string, HostRecord>> {
    const { link } = this.#parts;
    const subjects = await subjectsOf(link, this.#stream, this.#subject("*"));
    const found = new Map<string, HostRecord>();
    await mapSome(subjects, async (subject) => {
      const message = await lastOn(link, this.#stream, subject);
      if (message === undefined || message.header.get(OPERATION_HEADER) !== "") return;
      const record = this.#readable(message.data, subject);
      if (record !== undefined) found.set(subject, record);
    });
    return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #readable(data: Uint8Array, subject: string): HostRecord | undefined {
    try {
      return recordOf(data, subject);
    } catch (error) {
      this.#parts.link.logger.warn({ subject, error }, "what a host says of itself cannot be read");
      return undefined;
    }
  }

  #hinted(subject: string, data: Uint8Array, operation: string): void {
    const record = operation === "" ? this.#readable(data, subject) : undefined;
    if (record === undefined) this.#seen.delete(subject);
    else this.#see(subject, record);
    this.#changed();
  }

  #see(subject: string, { info }: HostRecord): void {
    this.#seen.set(subject, { info, text: JSON.stringify(info), renewedAtMs: this.#parts.link.clock.monotonicMs() });
  }

  #refresh(): void {
    if (this.#stopHints === undefined) return;
    if (this.#reading !== undefined) {
      this.#readAgain = true;
      return;
    }
    this.#readAgain = false;
    this.#reading = this.#learnLease()
      .then(() => this.#readAll())
      .then((found) => {
        if (this.#stopHints === undefined) return;
        for (const subject of this.#seen.keys()) if (!found.has(subject)) this.#seen.delete(subject);
        for (const [subject, record] of found) this.#see(subject, record);
        this.#changed();
      })
      .catch((error: unknown) => {
        this.#parts.link.logger.warn({ error }, "who is alive could not be read; tried again");
        this.#planOverdue(this.#parts.settings.renewMs);
      })
      .then(() => {
        this.#reading = undefined;
        if (this.#readAgain) this.#refresh();
      });
  }

  /** A2. */
  #planOverdue(inMs: number): void {
    this.#cancelOverdue?.();
    if (this.#stopHints !== undefined)
      this.#cancelOverdue = this.#parts.link.clock.setTimer(inMs, () => this.#refresh());
  }

  #changed(): void {
    const nowMs = this.#parts.link.clock.monotonicMs();
    let nextMs = Infinity;
    for (const { renewedAtMs } of this.#seen.values())
      nextMs = Math.min(nextMs, Math.max(renewedAtMs + this.#leaseMs - nowMs, this.#leaseMs / 20));
    if (nextMs < Infinity) this.#planOverdue(nextMs);
    const now = [...this.#seen]
      .map(([subject, { text }]) => `${subject} ${text}`)
      .sort()
      .join("\n");
    if (now === this.#told) return;
    this.#told = now;
    const hosts = [...this.#seen.values()].map(({ info }) => info);
    for (const { onChange } of this.#watchers) {
      try {
        onChange(hosts);
      } catch (error) {
        this.#parts.link.logger.error({ error }, "liveness watcher threw");
      }
    }
  }

  #stopWatching(): void {
    this.#stopHints?.();
    this.#stopHints = undefined;
    this.#cancelOverdue?.();
    this.#cancelOverdue = undefined;
    this.#seen.clear();
    this.#told = "";
  }
}

function recordOf(data: Uint8Array, subject: string): HostRecord {
  return parse(hostShape, decodePayload(data, subject), subject);
}
