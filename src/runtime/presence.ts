// Presence: this host is announced on the bus while sessions are live here, and only then, so that an idle engine keeps no
// lease to renew and its process may end.

import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { Lease, Liveness } from "../bus/ports.ts";

export class Presence {
  readonly #liveness: Liveness;
  readonly #host: string;
  readonly #logger: Logger;
  #wanted = false;
  #failed = false;
  #lease: Lease | null = null;
  /** Announcing and releasing, one after the other. */
  #work: Promise<void> | null = null;

  constructor(liveness: Liveness, host: string, logger: Logger) {
    this.#liveness = liveness;
    this.#host = host;
    this.#logger = logger;
  }

  update(sessions: number): void {
    this.#wanted = sessions > 0;
    if (this.#work !== null || this.#wanted === (this.#lease !== null)) return;
    this.#work = this.#follow().then(() => {
      this.#work = null;
      // Sessions may have come or gone in the very moment it ended.
      if (!this.#failed) this.update(this.#wanted ? 1 : 0);
    });
  }

  async close(): Promise<void> {
    this.#wanted = false;
    await this.#work;
    await this.#follow();
  }

  async #follow(): Promise<void> {
    this.#failed = false;
    try {
      while (this.#wanted !== (this.#lease !== null)) {
        if (this.#wanted)
          this.#lease = await this.#liveness.announce({
            host: this.#host,
            agents: [],
            sessions: 1,
            version: "1",
            slots: 0,
            running: 0,
            topologies: [],
            startedAtMs: 0,
            adopts: false,
          });
        else {
          const lease = this.#lease;
          this.#lease = null;
          await lease?.release();
        }
      }
    } catch (error) {
      this.#failed = true;
      this.#logger.warn({ host: this.#host, error: errorToData(error) }, "the presence of this host could not be told");
    }
  }
}
