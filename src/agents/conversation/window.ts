// Window
//
// What of a conversation is shown to a model. A pure function, with these laws:
//
// W1  Messages of the system stay, all of them.
// W2  What is shown of the rest is the newest of it: whole rounds, from a user's message to the next one's. What a step says
//     and is told (`current`) is one round, corrections included.
// W3  A tool call and its result are shown together or not at all; what has no counterpart is never shown.
// W4  It fits into `tokensMax`. Where not even the newest round does, that round is shown without its oldest exchanges; its
//     beginning and its last exchange stay, whatever they take.

import { openBehind, paired, type Message } from "./message.ts";
import { estimateTokens, type CountTokens } from "./tokens.ts";

export interface WindowOptions<M extends Message> {
  /** `false`: everything is shown. */
  readonly tokensMax: number | false;
  /** Default: an estimate of four characters to a token. */
  readonly countTokens?: CountTokens<M>;
  /** What stands behind the conversation as its newest round. Default: that begins with the last message of a user. */
  readonly current?: readonly M[];
}

export function conversationWindow<M extends Message>(
  conversation: readonly M[],
  { tokensMax, countTokens = estimateTokens, current = [] }: WindowOptions<M>,
): readonly M[] {
  const before = paired(conversation);
  const messages = current.length === 0 ? before : [...before, ...paired(current)];
  if (tokensMax === false) return messages;
  const placed = messages.map((message, at): Placed => ({ message, at, tokens: countTokens(message) }));
  const system = placed.filter(({ message }) => message.role === "system");
  const rest = placed.filter(({ message }) => message.role !== "system");
  const shown = newest(rest, before.length, tokensMax - tokensOf(system));
  if (shown.length === rest.length) return messages;
  const kept = new Set([...system, ...shown].map(({ at }) => at));
  return messages.filter((_message, at) => kept.has(at));
}

interface Placed {
  readonly message: Message;
  readonly at: number;
  readonly tokens: number;
}

function newest(messages: readonly Placed[], currentAt: number, tokensMax: number): readonly Placed[] {
  const rounds = cut(messages, ({ message, at }, before) =>
    at < currentAt ? message.role === "user" : before.at < currentAt,
  );
  const last = rounds.at(-1);
  if (last === undefined) return [];
  return tokensOf(last) > tokensMax ? newestOfRound(last, tokensMax) : lastPieces(rounds, tokensMax);
}

function newestOfRound(round: readonly Placed[], tokensMax: number): readonly Placed[] {
  const [beginning = [], ...exchanges] = cut(round, ({ message }) => message.role === "assistant");
  return [...beginning, ...lastPieces(exchanges, tokensMax - tokensOf(beginning))];
}

/** As many pieces from the end as fit, the last one in any case. */
function lastPieces(pieces: readonly (readonly Placed[])[], tokensMax: number): readonly Placed[] {
  let left = tokensMax;
  let first = pieces.length;
  while (first > 0) {
    left -= tokensOf(pieces[first - 1] ?? []);
    if (left < 0 && first < pieces.length) break;
    first--;
  }
  return pieces.slice(first).flat();
}

function tokensOf(messages: readonly Placed[]): number {
  return messages.reduce((sum, { tokens }) => sum + tokens, 0);
}

/** Cut in front of every message that `begins` something new, except between a tool call and its result. */
function cut(messages: readonly Placed[], begins: (message: Placed, before: Placed) => boolean): Placed[][] {
  const isOpen = openBehind(messages.map(({ message }) => message));
  const pieces: Placed[][] = [];
  messages.forEach((placed, at) => {
    const before = messages[at - 1];
    const piece = pieces.at(-1);
    if (before === undefined || piece === undefined || (begins(placed, before) && isOpen[at - 1] !== true))
      pieces.push([placed]);
    else piece.push(placed);
  });
  return pieces;
}
