// Host lease
//
// E1  Renewed every `renewMs` for as long as it is not released, whatever fails in between.
// E2  Not held once no renewal was answered for 0.6 of its time, counted from when that renewal was sent: the host is
//     polite then before others take it for dead.
// E3  Writes go one after the other; what a release leaves behind is nothing that was written before it.

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { HostInfo, Lease } from "../bus/ports.ts";

const HELD_SHARE = 0.6;

export interface HostRecord {
  /** Which announcement wrote it. */
  readonly mark: string;
  readonly info: HostInfo;
}

export interface HostLeaseOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly info: HostInfo;
  readonly mark: string;
  read(): Promise<{ record: HostRecord | undefined; revision: number }>;
  /** The new revision; undefined when another wrote after `expected`. */
  write(record: HostRecord, expected: number): Promise<number | undefined>;
  remove(expected: number): Promise<void>;
  onEnded(): void;
}

export class HostLease implements Lease {
  readonly held: Lease["held"];
  readonly #options: HostLeaseOptions;
  readonly #watchers = new Set<{ readonly onChange: (held: boolean) => void }>();
  #info: HostInfo;
  #revision = 0;
  #renewedAtMs = -Infinity;
  #wasHeld = false;
  #ended = false;
  #work: Promise<unknown> = Promise.resolve();
  #cancelRenewal: (() => void) | undefined;
  #cancelLapse: (() => void) | undefined;

  constructor(options: HostLeaseOptions) {
    this.#options = options;
    this.#info = options.info;
    this.held = {
      now: () => this.#isHeld(),
      watch: (onChange) => {
        const watcher = { onChange };
        this.#watchers.add(watcher);
        return () => void this.#watchers.delete(watcher);
      },
    };
  }

  /** Takes the place of whatever stands under this name. @throws {OrchestraError} `ORCH_BUS_UNREACHABLE` */
  async announce(): Promise<void> {
    try {
      await this.#inTurn(async () => {
        while (!this.#ended) {
          const { revision } = await this.#options.read();
          if (await this.#writeAfter(revision)) return;
        }
      });
    } catch (error) {
      this.replaced();
      throw error;
    }
    this.#plan();
  }

  async update(change: Partial<HostInfo>): Promise<void> {
    if (this.#ended) return;
    this.#info = { ...this.#info, ...change, host: this.#info.host };
    await this.#inTurn(() => this.#renew());
  }

  async release(): Promise<void> {
    if (this.#ended) return;
    this.replaced();
    await this.#inTurn(async () => {
      const { record, revision } = await this.#options.read();
      if (record?.mark === this.#options.mark) await this.#options.remove(revision);
    });
  }

  /** Another stands in its place, or the bus is closed: nothing is written any more. */
  replaced(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelRenewal?.();
    this.#cancelLapse?.();
    this.#options.onEnded();
    this.#tell();
    this.#watchers.clear();
  }

  #isHeld(): boolean {
    const { clock, leaseMs } = this.#options;
    return !this.#ended && clock.monotonicMs() - this.#renewedAtMs < HELD_SHARE * leaseMs;
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#work.then(act, act);
    this.#work = turn.catch(() => undefined);
    return turn;
  }

  #plan(): void {
    if (this.#ended) return;
    const { clock, logger, renewMs, info } = this.#options;
    this.#cancelRenewal = clock.setTimer(renewMs, () => {
      this.#inTurn(() => this.#renew())
        .catch((error: unknown) =>
          logger.warn({ host: info.host, error }, "the lease of this host was not renewed; tried again"),
        )
        .then(
          () => this.#plan(),
          () => undefined,
        );
    });
  }

  async #renew(): Promise<void> {
    if (this.#ended || (await this.#writeAfter(this.#revision))) return;
    // An answer that was lost, a lease that ran out, or somebody else under this name.
    const { record, revision } = await this.#options.read();
    if (record === undefined || record.mark === this.#options.mark) {
      await this.#writeAfter(revision);
      return;
    }
    this.#options.logger.warn(
      { host: this.#info.host },
      "another process announced itself under the name of this host",
    );
    this.replaced();
  }

  async #writeAfter(expected: number): Promise<boolean> {
    const { clock, mark } = this.#options;
    if (this.#ended) return true;
    const sentAtMs = clock.monotonicMs();
    const revision = await this.#options.write({ mark, info: this.#info }, expected);
    if (revision === undefined) return false;
    this.#revision = revision;
    // What stood still between sending and now held nothing meanwhile.
    this.#tell();
    this.#renewedAtMs = sentAtMs;
    this.#tell();
    return true;
  }

  #tell(): void {
    const { clock, leaseMs, logger, info } = this.#options;
    const isHeld = this.#isHeld();
    this.#cancelLapse?.();
    if (isHeld) {
      const leftMs = this.#renewedAtMs + HELD_SHARE * leaseMs - clock.monotonicMs();
      this.#cancelLapse = clock.setTimer(leftMs, () => this.#tell());
    }
    if (isHeld === this.#wasHeld) return;
    this.#wasHeld = isHeld;
    for (const { onChange } of this.#watchers) {
      try {
        onChange(isHeld);
      } catch (error) {
        logger.error({ host: info.host, error }, "watcher of a lease threw");
      }
    }
  }
}
