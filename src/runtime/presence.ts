// Presence
//
// Owns:      the lease that says this host is alive, and what is said along with it.
//
// P1  It is announced while sessions are live here or it serves as a host, and only then, so that an idle engine keeps no
//     lease to renew and its process may end.
// P2  Announcing, changing and releasing are done one after the other; of several changes that wait, the last counts.
// P3  An announcement that failed is made again for as long as it is wanted: a host that nobody sees would have its sessions
//     taken from it, and get no work.

import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { HostInfo, Lease, Liveness } from "../bus/ports.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";

const RETRY_MS = 2_000;

export interface PresenceOptions {
  readonly liveness: Liveness;
  readonly host: string;
  readonly logger: Logger;
  readonly deadlines: Deadlines;
  /** What is said of the host at this moment. */
  info(): HostInfo;
  /** The lease was not renewed in time, and others may take the host for dead; or it is held again. */
  onHeld(held: boolean): void;
}

export class Presence {
  readonly #options: PresenceOptions;
  #wanted = false;
  #failed: { readonly error: unknown } | undefined;
  #retry: Deadline | undefined;
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

  /** Resolves once others can know of the host. @throws what the announcement failed with */
  async announced(): Promise<void> {
    await this.settled();
    if (this.#lease === null && this.#failed !== undefined) throw this.#failed.error;
  }

  async close(): Promise<void> {
    this.#wanted = false;
    if (this.#retry !== undefined) this.#options.deadlines.clear(this.#retry);
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
      if (this.#failed === undefined) this.#go();
      else if (this.#wanted && this.#lease === null) this.#goLater();
    });
  }

  /** P3 */
  #goLater(): void {
    const { deadlines } = this.#options;
    if (this.#retry !== undefined) deadlines.clear(this.#retry);
    this.#retry = deadlines.after(RETRY_MS, () => {
      this.#retry = undefined;
      this.#go();
    });
  }

  async #follow(): Promise<void> {
    const { liveness, host, logger } = this.#options;
    this.#failed = undefined;
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
      this.#failed = { error };
      logger.warn({ host, error: errorToData(error) }, "the presence of this host could not be told");
    }
  }
}
