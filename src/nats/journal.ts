// Journal over NATS
//
// Entries go to the session's owner by request and reply, or straight to it when it is in this process.
//
// J1  Nothing is acknowledged here: the answer is the owner's, given after its commit (B4).
// J2  Nobody answering, or an owner that is none any more, may mean that a take-over is under way: asked again, for a
//     bounded time. An entry that was committed though its answer got lost is answered `already`.

import type { Msg } from "@nats-io/transport-node";
import { sleep } from "../base/clock.ts";
import { ERROR_CODES, OrchestraError, type OrchestraErrorCode } from "../base/errors.ts";
import { closedError } from "../bus/closed-error.ts";
import type { Journal, JournalEntry } from "../bus/ports.ts";
import { busError, isUnanswered } from "./bus-errors.ts";
import type { NatsLink } from "./link.ts";
import { journalReplyShape, journalRequestShape, parse, type JournalReply } from "./shapes.ts";
import type { Spill } from "./spill.ts";
import { standing } from "./standing.ts";

type Owner = Parameters<Journal["own"]>[1];
type Request = { readonly do: "put"; readonly entry: JournalEntry } | { readonly do: "list"; readonly stepId: string };

const FIRST_WAIT_MS = 50;
const WAIT_MS_MAX = 1_000;
/** A commit of the owner may have to wait for a new leader. */
const ANSWER_MS = 15_000;

export interface NatsJournalOptions {
  /** How long a take-over may leave a session without an owner. */
  readonly patienceMs: number;
  /** Whether an owner in this process is asked without the bus. */
  readonly localFirst: boolean;
}

export class NatsJournal implements Journal {
  readonly #link: NatsLink;
  readonly #spill: Spill;
  readonly #options: NatsJournalOptions;
  readonly #owned = new Map<string, { owner: Owner; readonly stop: () => void }>();
  #closed = false;

  constructor(link: NatsLink, spill: Spill, options: NatsJournalOptions) {
    this.#link = link;
    this.#spill = spill;
    this.#options = options;
  }

  /** @throws {OrchestraError} `ORCH_FENCED`, `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE`, and what the owner refused with. */
  async put(entry: JournalEntry): Promise<"first" | "already"> {
    const { sessionId, stepId, key, value } = entry;
    const what = `entry ${JSON.stringify(key)} of step ${stepId}`;
    const reply = await this.#ask(sessionId, what, { do: "put", entry: { sessionId, stepId, key, value } });
    if (reply.kind !== "put") throw new TypeError(`${what}: answered with ${reply.kind}`);
    return reply.answer;
  }

  /** @throws {OrchestraError} `ORCH_FENCED` when nobody owns the session: an empty list would make side effects run again. */
  async list(sessionId: string, stepId: string): Promise<readonly JournalEntry[]> {
    const reply = await this.#ask(sessionId, `entries of step ${stepId}`, { do: "list", stepId });
    if (reply.kind !== "list") throw new TypeError(`entries of step ${stepId}: answered with ${reply.kind}`);
    return reply.entries;
  }

  async isOwned(sessionId: string): Promise<boolean> {
    const what = `owner of session "${sessionId}"`;
    if (this.#closed) throw closedError(`journal ${what}`);
    const reply = await this.#askOnce(sessionId, what, { do: "list", stepId: "" });
    if (reply === undefined) return false;
    if (reply.kind !== "failed") return true;
    if (reply.code === "ORCH_FENCED") return false;
    throw failure(reply, sessionId, what);
  }

  own(sessionId: string, owner: Owner): () => void {
    if (this.#closed) throw closedError(`own of session "${sessionId}"`);
    const before = this.#owned.get(sessionId);
    if (before !== undefined) before.owner = owner;
    else {
      const stop = standing(this.#link, this.#link.names.rpc(sessionId), {
        onMessage: (message) => void this.#serve(sessionId, message),
      });
      this.#owned.set(sessionId, { owner, stop });
    }
    return () => {
      const now = this.#owned.get(sessionId);
      // A later owner is not to be removed by the one it replaced.
      if (now?.owner !== owner) return;
      now.stop();
      this.#owned.delete(sessionId);
    };
  }

  close(): void {
    this.#closed = true;
    for (const { stop } of this.#owned.values()) stop();
    this.#owned.clear();
  }

  /** J2. */
  async #ask(sessionId: string, what: string, request: Request): Promise<Exclude<JournalReply, { kind: "failed" }>> {
    const { clock } = this.#link;
    const untilMs = clock.monotonicMs() + this.#options.patienceMs;
    for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, WAIT_MS_MAX)) {
      if (this.#closed) throw closedError(`journal ${what}`);
      const reply = await this.#askOnce(sessionId, what, request);
      if (reply !== undefined && reply.kind !== "failed") return reply;
      const isFenced = reply === undefined || reply.code === "ORCH_FENCED";
      if (!isFenced) throw failure(reply, sessionId, what);
      if (clock.monotonicMs() + waitMs > untilMs)
        throw reply === undefined ? nobody(sessionId, what) : failure(reply, sessionId, what);
      await sleep(this.#link.clock, waitMs);
    }
  }

  /** Undefined when nobody answers. */
  async #askOnce(sessionId: string, what: string, request: Request): Promise<JournalReply | undefined> {
    const mine = this.#options.localFirst ? this.#owned.get(sessionId)?.owner : undefined;
    if (mine !== undefined) {
      const reply = await answer(mine, request);
      if (reply.kind !== "failed" || reply.code !== "ORCH_FENCED") return reply;
      // It lost the session, perhaps to another process.
    }
    try {
      const payload = await this.#spill.pack(request);
      const { nc } = await this.#link.connected();
      const { data } = await nc.request(this.#link.names.rpc(sessionId), payload, { timeout: ANSWER_MS });
      return parse(journalReplyShape, await this.#spill.unpack(data, what), what);
    } catch (error) {
      if (isUnanswered(error)) return undefined;
      throw busError(error, `journal ${what}`);
    }
  }

  async #serve(sessionId: string, message: Msg): Promise<void> {
    const what = `journal request to session "${sessionId}"`;
    try {
      const owner = this.#owned.get(sessionId)?.owner;
      if (owner === undefined) return;
      const request = parse(journalRequestShape, await this.#spill.unpack(message.data, what), what);
      if (request.do === "put" && request.entry.sessionId !== sessionId)
        throw new OrchestraError("ORCH_BUS_PAYLOAD", `${what} names session "${request.entry.sessionId}"`);
      message.respond(await this.#spill.pack(await answer(owner, request)));
    } catch (error) {
      this.#link.logger.warn({ sessionId, error }, "a journal request could not be answered");
    }
  }
}

async function answer(owner: Owner, request: Request): Promise<JournalReply> {
  try {
    return request.do === "put"
      ? { kind: "put", answer: await owner.put(request.entry) }
      : { kind: "list", entries: [...(await owner.list(request.stepId))] };
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    return { kind: "failed", message: String(message), ...(typeof code === "string" && { code }) };
  }
}

function nobody(sessionId: string, what: string): OrchestraError {
  return new OrchestraError("ORCH_FENCED", `journal: ${what}: nobody owns session "${sessionId}" at the moment`, {
    details: { sessionId },
  });
}

function failure(reply: Extract<JournalReply, { kind: "failed" }>, sessionId: string, what: string): Error {
  if (isCode(reply.code)) return new OrchestraError(reply.code, reply.message, { details: { sessionId } });
  return new Error(`journal: ${what}: the owner of session "${sessionId}" answered: ${reply.message}`);
}

function isCode(code: string | undefined): code is OrchestraErrorCode {
  return (ERROR_CODES as readonly (string | undefined)[]).includes(code);
}
