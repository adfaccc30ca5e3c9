// Roster: the hosts that are alive on a shared bus, as far as was heard.

import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { HostInfo, Liveness } from "../bus/ports.ts";

export class Roster {
  readonly #liveness: Liveness;
  readonly #logger: Logger;
  readonly #listeners = new Set<() => void>();
  #hosts: readonly HostInfo[] = [];
  #stop: (() => void) | undefined;
  #closed = false;

  constructor(liveness: Liveness, logger: Logger) {
    this.#liveness = liveness;
    this.#logger = logger;
  }

  /** As of the last word heard; empty before the first `look`. */
  get hosts(): readonly HostInfo[] {
    return this.#hosts;
  }

  isServed(agent: string): boolean {
    return this.#hosts.some((host) => host.agents.includes(agent));
  }

  servers(agent: string): readonly string[] {
    return this.#hosts.filter((host) => host.agents.includes(agent)).map(({ host }) => host);
  }

  /** Asks anew, and listens from then on. */
  async look(): Promise<readonly HostInfo[]> {
    if (!this.#closed) this.#stop ??= this.#liveness.watch((hosts) => this.#heard(hosts));
    this.#heard(await this.#liveness.alive());
    return this.#hosts;
  }

  /** The same where nobody waits for the answer. */
  follow(): void {
    if (this.#stop !== undefined || this.#closed) return;
    this.look().catch((error: unknown) =>
      this.#logger.warn({ error: errorToData(error) }, "the hosts of the cluster could not be listed"),
    );
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#listeners.clear();
  }

  #heard(hosts: readonly HostInfo[]): void {
    this.#hosts = hosts;
    for (const listener of this.#listeners) listener();
  }
}
