// Inbox on JetStream
//
// I1  Positions are positions in the stream: they ascend over all sessions and outlive every process.
// I2  `read(after)` says that everything up to `after` is taken care of; it is removed then.
// I3  An id is stored once within the stream's window for duplicates (2 minutes); later repeats are harmless (B5).
// I4  Nudges are hints; who watches is nudged after a reconnect, and now and then, too.

import { OrchestraError } from "../base/errors.ts";
import { closedError } from "../bus/closed-error.ts";
import type { Inbox, InboxCommand } from "../bus/ports.ts";
import { encodeName } from "./names.ts";
import type { NatsParts } from "./parts.ts";
import { answered, nextOn, purge } from "./requests.ts";
import { read } from "./shapes.ts";
import { standing } from "./standing.ts";
import { isAnswer } from "./store-message.ts";
import { unreadable } from "./wire.ts";

interface Posted {
  readonly position: number;
  readonly command: InboxCommand;
}

export class NatsInbox implements Inbox {
  readonly #parts: NatsParts;
  readonly #capacity: number;
  readonly #lookEveryMs: number;
  readonly #stops = new Set<() => void>();
  #closed = false;

  /** `capacity`: unread commands of one session; more are refused. `lookEveryMs`: how often watchers are nudged unasked. */
  constructor(parts: NatsParts, capacity: number, lookEveryMs: number) {
    this.#parts = parts;
    this.#capacity = capacity;
    this.#lookEveryMs = lookEveryMs;
  }

  /** @throws {OrchestraError} `ORCH_OVERLOADED`, `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE`, `ORCH_BUS_UNREACHABLE` */
  async post(sessionId: string, command: InboxCommand): Promise<void> {
    if (this.#closed) throw closedError(`post to session "${sessionId}"`);
    const { link, spill } = this.#parts;
    const subject = link.names.inbox(sessionId);
    const { id, type, body } = command;
    const payload = await spill.pack({ id, type, body });
    if ((await this.#unread(subject)) >= this.#capacity) return this.#postToFull(sessionId, command);
    await answered(link, `post "${type}" to session "${sessionId}"`, ({ js }) =>
      // Ids are unique within a session, the window for duplicates is the stream's.
      js.publish(subject, payload, { msgID: `${encodeName(sessionId)}/${encodeName(id)}` }),
    );
  }

  async read(sessionId: string, after: number): Promise<readonly Posted[]> {
    const { link } = this.#parts;
    const { names } = link;
    const subject = names.inbox(sessionId);
    const posted = await this.#from(sessionId, after + 1);
    if (after > 0 && (await nextOn(link, names.streams.inbox, subject, 1))?.seq !== posted[0]?.position)
      await purge(link, names.streams.inbox, subject, after + 1);
    return posted;
  }

  watch(sessionId: string, onPosted: () => void): () => void {
    if (this.#closed) throw closedError(`watch of the inbox of session "${sessionId}"`);
    const { link } = this.#parts;
    const nudge = (): void => {
      try {
        onPosted();
      } catch (error) {
        link.logger.error({ sessionId, error }, "inbox watcher threw");
      }
    };
    const unsubscribe = standing(link, link.names.inbox(sessionId), { onMessage: nudge, onBack: nudge });
    let cancel = (): void => undefined;
    const again = (): void => {
      // Spread out, so that the watchers of many sessions do not look at one moment.
      cancel = link.clock.setTimer(this.#lookEveryMs * (0.5 + this.#parts.settings.random.next()), () => {
        nudge();
        again();
      });
    };
    again();
    const stop = (): void => {
      cancel();
      unsubscribe();
      this.#stops.delete(stop);
    };
    this.#stops.add(stop);
    return stop;
  }

  async forget(sessionId: string): Promise<void> {
    const { link } = this.#parts;
    await purge(link, link.names.streams.inbox, link.names.inbox(sessionId));
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#stops) stop();
  }

  async #from(sessionId: string, from: number): Promise<Posted[]> {
    const { link, spill } = this.#parts;
    const { names } = link;
    const subject = names.inbox(sessionId);
    const posted: Posted[] = [];
    for (let seq = from; ;) {
      const message = await nextOn(link, names.streams.inbox, subject, seq);
      if (message === undefined) break;
      seq = message.seq + 1;
      const what = `command ${message.seq} to session "${sessionId}"`;
      try {
        if (isAnswer(message.header)) throw unreadable(what, "it is an answer of the server, and nobody posted it");
        posted.push({
          position: message.seq,
          command: read.command(await spill.unpack(message.data, what), what),
        });
      } catch (error) {
        if (!(error instanceof OrchestraError) || error.code !== "ORCH_BUS_PAYLOAD") throw error;
        // Passed over, or it would stand in the way of all that come after it.
        link.logger.error({ sessionId, position: message.seq, error }, "a command cannot be read; passed over");
      }
    }
    return posted;
  }

  async #unread(subject: string): Promise<number> {
    const { link } = this.#parts;
    const { inbox } = link.names.streams;
    const info = await answered(link, `count the commands on ${subject}`, ({ jsm }) =>
      jsm.streams.info(inbox, { subjects_filter: subject }),
    );
    return info.state.subjects?.[subject] ?? 0;
  }

  /** A repeat of what is there is taken for done, though there is no room. */
  async #postToFull(sessionId: string, { id }: InboxCommand): Promise<void> {
    if ((await this.#from(sessionId, 1)).some(({ command }) => command.id === id)) return;
    throw new OrchestraError(
      "ORCH_OVERLOADED",
      `inbox of session "${sessionId}" is full (${this.#capacity} unread commands)`,
      { details: { sessionId, capacity: this.#capacity } },
    );
  }
}
