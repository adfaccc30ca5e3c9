import { OrchestraError } from "../base/errors.ts";
import { closedError } from "./closed-error.ts";
import type { Journal, JournalEntry } from "./ports.ts";

type Owner = Parameters<Journal["own"]>[1];

/** Leads journal entries to the owner of their session. The latest to own a session is its owner; the bus keeps no entries itself. */
export class LocalJournal implements Journal {
  readonly #owners = new Map<string, Owner>();
  #closed = false;

  async put(entry: JournalEntry): Promise<"first" | "already"> {
    return this.#ownerOf(entry.sessionId, `entry "${entry.key}" of step ${entry.stepId}`).put(entry);
  }

  /** @throws {OrchestraError} `ORCH_FENCED` when nobody owns the session: an empty list would make side effects run again. */
  async list(sessionId: string, stepId: string): Promise<readonly JournalEntry[]> {
    return this.#ownerOf(sessionId, `entries of step ${stepId}`).list(stepId);
  }

  async isOwned(sessionId: string): Promise<boolean> {
    if (this.#closed) throw closedError(`journal of session "${sessionId}"`);
    return this.#owners.has(sessionId);
  }

  own(sessionId: string, owner: Owner): () => void {
    if (this.#closed) throw closedError(`own of session "${sessionId}"`);
    this.#owners.set(sessionId, owner);
    return () => {
      // A later owner is not to be removed by the one it replaced.
      if (this.#owners.get(sessionId) === owner) this.#owners.delete(sessionId);
    };
  }

  close(): void {
    this.#closed = true;
    this.#owners.clear();
  }

  #ownerOf(sessionId: string, what: string): Owner {
    if (this.#closed) throw closedError(`journal ${what}`);
    const owner = this.#owners.get(sessionId);
    if (owner !== undefined) return owner;
    throw new OrchestraError("ORCH_FENCED", `journal: ${what}: nobody owns session "${sessionId}" at the moment`, {
      details: { sessionId },
    });
  }
}
