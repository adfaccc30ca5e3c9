// Presence
//
// Owns:      the lease that says this host is alive, and what is said along with it.
//
// P1  It is announced while sessions are live here or it serves as a host, and only then, so that an idle engine keeps no
//     lease to renew and its process may end.
// P2  Announcing, changing and releasing are done one after the other; of several changes that wait, the last counts.

import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { HostInfo, Lease, Liveness } from "../bus/ports.ts";

export interface PresenceOptions {
  readonly liveness: Liveness;
  readonly host: string;
  readonly logger: Logger;
  /** What is said of the host at this moment. */
  info(): HostInfo;
  /** The lease was not renewed in time, and others may take the host for dead; or it is held again. */
  onHeld(held: boolean): void;
}

export class Presence {
  readonly #options: PresenceOptions;
  #wanted = false;
  #failed = false;
  #stale = false;
  #lease: Lease | null = null;
  /** Announcing and releasing, one after the other. */
  #work: Promise<void> | null = null;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  get held(): boolean {
    return this.#lease === null || this.#lease.held.now();
  }

  update(wanted: boolean): void {
    this.#wanted = wanted;
    this.#go();
  }

  /** What is said of the host has changed. */
  changed(): void {
    if (this.#lease === null) return;
    this.#stale = true;
    this.#go();
  }

  /** Resolves once what was asked for before is done, or has failed. */
  async settled(): Promise<void> {
    while (this.#work !== null) await this.#work;
  }

  async close(): Promise<void> {
    this.#wanted = false;
    await this.#work;
    await this.#follow();
  }

  get #isDone(): boolean {
    return this.#wanted === (this.#lease !== null) && !(this.#stale && this.#lease !== null);
  }

  #go(): void {
    if (this.#work !== null || this.#isDone) return;
    this.#work = this.#follow().then(() => {
      this.#work = null;
      // Sessions may have come or gone in the very moment it ended.
      if (!this.#failed) this.#go();
    });
  }

  async #follow(): Promise<void> {
    const { liveness, host, logger } = this.#options;
    this.#failed = false;
    try {
      while (!this.#isDone) {
        if (this.#wanted && this.#lease === null) {
          this.#stale = false;
          const lease = await liveness.announce(this.#options.info());
          this.#lease = lease;
          // One that is being released is not held, and nobody need be told.
          lease.held.watch((held) => {
            if (this.#lease === lease) this.#options.onHeld(held);
          });
        } else if (this.#wanted) {
          this.#stale = false;
          await this.#lease?.update(this.#options.info());
        } else {
          const lease = this.#lease;
          this.#lease = null;
          await lease?.release();
        }
      }
    } catch (error) {
      this.#failed = true;
      logger.warn({ host, error: errorToData(error) }, "the presence of this host could not be told");
    }
  }
}
