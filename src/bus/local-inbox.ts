// Local inbox
//
// I1  Positions ascend over all sessions and over restarts of the process: the owner keeps the last position it read
//     in its log, and no new command may stand at or before it. They start from the wall clock at the bus's making.
// I2  `read(after)` says that everything up to `after` is taken care of; it is dropped then.
// I3  An id is stored once as long as it is among the last `capacity` ids of its session.

import type { Clock } from "../base/clock.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { closedError } from "./closed-error.ts";
import type { Inbox, InboxCommand } from "./ports.ts";

interface Posted {
  readonly position: number;
  readonly command: InboxCommand;
}

interface Box {
  waiting: Posted[];
  /** In order of arrival. */
  readonly ids: Set<string>;
}

export class LocalInbox implements Inbox {
  readonly #logger: Logger;
  readonly #capacity: number;
  readonly #boxes = new Map<string, Box>();
  readonly #watchers = new Map<string, Set<{ readonly onPosted: () => void }>>();
  #position: number;
  #closed = false;

  /** `capacity`: commands of one session that may wait; more are refused with ORCH_OVERLOADED. */
  constructor(clock: Clock, logger: Logger, capacity: number) {
    this.#logger = logger;
    this.#capacity = capacity;
    this.#position = Math.max(0, Math.floor(clock.nowMs())) * 1000;
  }

  /** @throws {OrchestraError} `ORCH_OVERLOADED` when the session has as many unread commands as its inbox holds. */
  async post(sessionId: string, command: InboxCommand): Promise<void> {
    if (this.#closed) throw closedError(`post to session "${sessionId}"`);
    let box = this.#boxes.get(sessionId);
    if (box === undefined) this.#boxes.set(sessionId, (box = { waiting: [], ids: new Set() }));
    if (box.ids.has(command.id)) return;
    if (box.waiting.length >= this.#capacity) {
      throw new OrchestraError(
        "ORCH_OVERLOADED",
        `inbox of session "${sessionId}" is full (${this.#capacity} unread commands)`,
        {
          details: { sessionId, capacity: this.#capacity },
        },
      );
    }
    box.waiting.push({ position: ++this.#position, command });
    box.ids.add(command.id);
    if (box.ids.size > this.#capacity) dropOldest(box.ids);
    for (const watcher of this.#watchers.get(sessionId) ?? []) this.#nudge(sessionId, watcher);
  }

  async read(sessionId: string, after: number): Promise<readonly Posted[]> {
    const box = this.#boxes.get(sessionId);
    if (box === undefined) return [];
    if ((box.waiting[0]?.position ?? Infinity) <= after)
      box.waiting = box.waiting.filter((one) => one.position > after);
    return box.waiting.slice();
  }

  watch(sessionId: string, onPosted: () => void): () => void {
    const watcher = { onPosted };
    const before = this.#watchers.get(sessionId);
    if (before === undefined) this.#watchers.set(sessionId, new Set([watcher]));
    else before.add(watcher);
    return () => {
      const watchers = this.#watchers.get(sessionId);
      watchers?.delete(watcher);
      if (watchers?.size === 0) this.#watchers.delete(sessionId);
    };
  }

  async forget(sessionId: string): Promise<void> {
    this.#boxes.delete(sessionId);
  }

  close(): void {
    this.#closed = true;
    this.#boxes.clear();
    this.#watchers.clear();
  }

  #nudge(sessionId: string, watcher: { readonly onPosted: () => void }): void {
    queueMicrotask(() => {
      if (!this.#watchers.get(sessionId)?.has(watcher)) return;
      try {
        watcher.onPosted();
      } catch (error) {
        this.#logger.error({ sessionId, error }, "inbox watcher threw");
      }
    });
  }
}

function dropOldest(ids: Set<string>): void {
  for (const id of ids) {
    ids.delete(id);
    return;
  }
}
