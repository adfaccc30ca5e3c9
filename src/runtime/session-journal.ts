// Session journal: results of `ctx.once`, committed by the session's owner before anyone goes on with them.

import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { journalOf, recordOf } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { CommitAnswer } from "./committer.ts";
import type { NewBlobs, Values } from "./values.ts";

export interface JournalPorts {
  readonly sessionId: string;
  readonly values: Values;
  state(): SessionState;
  commit(facts: readonly Fact[], blobs: NewBlobs): Promise<CommitAnswer>;
}

export class SessionJournal {
  readonly #ports: JournalPorts;
  readonly #pending = new Map<string, Promise<"first" | "already">>();

  constructor(ports: JournalPorts) {
    this.#ports = ports;
  }

  recorded(stepId: string, key: string): Stored | undefined {
    return recordOf(this.#ports.state(), stepId, key);
  }

  entries(stepId: string): readonly { key: string; value: Stored }[] {
    return journalOf(this.#ports.state(), stepId).map(([key, value]) => ({ key, value }));
  }

  /** `already`: another value stands under the key, or is just being committed. @throws ORCH_CANCELLED when nobody waits for the step any more. */
  put(stepId: string, key: string, value: Stored): Promise<"first" | "already"> {
    if (this.recorded(stepId, key) !== undefined) return Promise.resolve("already");
    const id = `${stepId}\n${key}`;
    const before = this.#pending.get(id);
    if (before !== undefined) return before.then(() => "already" as const);
    const put = this.#commit(stepId, key, value).finally(() => this.#pending.delete(id));
    this.#pending.set(id, put);
    return put;
  }

  async #commit(stepId: string, key: string, value: Stored): Promise<"first" | "already"> {
    const blobs: NewBlobs = new Map();
    // A worker sends the value whole; the owner decides what is kept by reference.
    const stored = "v" in value ? this.#ports.values.store(value.v, `once(${JSON.stringify(key)})`, blobs) : value;
    const answer = await this.#ports.commit([{ type: "journaled", stepId, key, value: stored }], blobs);
    if (answer.accepted) return "first";
    if (this.recorded(stepId, key) !== undefined) return "already";
    throw new OrchestraError(
      "ORCH_CANCELLED",
      `once(${JSON.stringify(key)}): step ${stepId} of session "${this.#ports.sessionId}" has ended: ${answer.reasons.join("; ")}`,
      {
        details: { sessionId: this.#ports.sessionId, stepId, key },
      },
    );
  }
}
