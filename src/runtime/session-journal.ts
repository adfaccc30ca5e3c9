// Session journal: results of `ctx.once`, committed by the session's owner before anyone goes on with them.

import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { journalOf, recordOf } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { JournalEntry } from "../bus/ports.ts";
import type { CommitAnswer } from "./committer.ts";
import type { NewBlobs, Values } from "./values.ts";

export interface JournalOwner {
  readonly sessionId: string;
  readonly values: Values;
  readonly state: SessionState;
  commit(facts: readonly Fact[], blobs: NewBlobs): Promise<CommitAnswer>;
}

export class SessionJournal {
  readonly #owner: JournalOwner;
  #pending: Map<string, Promise<"first" | "already">> | undefined;

  constructor(owner: JournalOwner) {
    this.#owner = owner;
  }

  async list(stepId: string): Promise<readonly JournalEntry[]> {
    const { sessionId, state } = this.#owner;
    return journalOf(state, stepId).map(([key, value]) => ({ sessionId, stepId, key, value }));
  }

  /** `already`: another value stands under the key, or is just being committed. @throws ORCH_CANCELLED when nobody waits for the step any more. */
  put({ stepId, key, value }: Pick<JournalEntry, "stepId" | "key" | "value">): Promise<"first" | "already"> {
    if (this.#recorded(stepId, key) !== undefined) return Promise.resolve("already");
    const id = `${stepId}\n${key}`;
    const pending = (this.#pending ??= new Map());
    const before = pending.get(id);
    if (before !== undefined) return before.then(() => "already" as const);
    const put = this.#commit(stepId, key, value).finally(() => pending.delete(id));
    pending.set(id, put);
    return put;
  }

  #recorded(stepId: string, key: string): Stored | undefined {
    return recordOf(this.#owner.state, stepId, key);
  }

  async #commit(stepId: string, key: string, value: Stored): Promise<"first" | "already"> {
    const blobs: NewBlobs = new Map();
    // A worker sends the value whole; the owner decides what is kept by reference.
    const stored = "v" in value ? this.#owner.values.store(value.v, `once(${JSON.stringify(key)})`, blobs) : value;
    const answer = await this.#owner.commit([{ type: "journaled", stepId, key, value: stored }], blobs);
    if (answer.accepted) return "first";
    if (this.#recorded(stepId, key) !== undefined) return "already";
    throw new OrchestraError(
      "ORCH_CANCELLED",
      `once(${JSON.stringify(key)}): step ${stepId} of session "${this.#owner.sessionId}" has ended: ${answer.reasons.join("; ")}`,
      {
        details: { sessionId: this.#owner.sessionId, stepId, key },
      },
    );
  }
}
