// Conversation
//
// Owns:      what an agent remembers of what it said and was told, from step to step.
// Does not:  talk to models, or keep the system's words: those are said anew each time.
//
// V1  What a step adds counts once, however often it runs: in `ctx.state` it is committed with the step's result; a store
//     is handed it under the step's own key.
// V2  Steps of one node that run side by side lose nothing of each other: each writes a key of its own.
// V3  What no window will show again is let go from `ctx.state`. A store decides for itself.
// V4  A re-run of a step is shown what its first run was shown: how far it read in a store is journalled.

import { OrchestraError } from "../../base/errors.ts";
import type { AgentContext } from "../../runtime/agent.ts";
import { assertOptions, bound, callable, check, isRecordLike, object, required } from "../../runtime/option-schema.ts";
import { paired, type Message } from "./message.ts";
import type { ConversationStore } from "./store.ts";
import { estimateTokens, type CountTokens } from "./tokens.ts";
import { conversationWindow } from "./window.ts";

/** single_run: until the run ends. session: from run to run. persistent: from session to session. */
export type Retention = "single_run" | "session" | "persistent";

export interface ConversationOptions<M extends Message = Message> {
  /** Default "single_run". */
  readonly retention?: Retention;
  /** What a model is shown at most, in tokens, its instructions and tools included; `false` for everything. Default 32_000. */
  readonly tokensMax?: number | false;
  /** Default: an estimate of four characters to a token. */
  readonly countTokens?: CountTokens<M>;
  /** For "persistent": where it is kept. */
  readonly store?: ConversationStore;
  /** For "persistent": whose conversation it is, such as a user's. Everybody who gives the same id shares it. */
  readonly id?: string | ((ctx: AgentContext) => string);
}

export const DEFAULT_CONVERSATION = Object.freeze({
  retention: "single_run",
  tokensMax: 32_000,
} as const satisfies ConversationOptions);

export interface Conversation<M extends Message = Message> {
  /** What was said before this step, oldest first, as far as a window can show it. */
  readonly history: readonly M[];
  /** What to show a model: the instructions, the newest of the history, and what this step has said so far. */
  window(system: readonly M[], current: readonly M[]): readonly M[];
  /** Adds to the conversation what this step has said. Messages of the system, and calls without a result, are left out. */
  append(messages: readonly M[]): Promise<void>;
}

const ANY_RETENTION = {
  retention: check(
    (value) => value === "single_run" || value === "session" || value === "persistent",
    '"single_run", "session" or "persistent"',
  ),
  tokensMax: bound,
  countTokens: callable,
};
const onlyPersistent = check(() => false, 'none, unless retention is "persistent"');
const PASSING = object({ ...ANY_RETENTION, store: onlyPersistent, id: onlyPersistent });
const PERSISTENT = object({
  ...ANY_RETENTION,
  store: required(
    (value) => isRecordLike(value) && typeof value["put"] === "function",
    "a conversation store, such as new LevelConversations(folder)",
  ),
  id: required(
    (value) => typeof value === "function" || (typeof value === "string" && value !== ""),
    "a name for the conversation, or a function of the context that gives one",
  ),
});

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function assertConversationOptions(options: ConversationOptions<any>, path: string): void {
  const retention = isRecordLike(options) ? options.retention : undefined;
  assertOptions(retention === "persistent" ? PERSISTENT : PASSING, options, path);
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export async function openConversation<M extends Message>(
  ctx: AgentContext,
  options: ConversationOptions<M> = {},
): Promise<Conversation<M>> {
  assertConversationOptions(options, "memory");
  const { retention = DEFAULT_CONVERSATION.retention, tokensMax = DEFAULT_CONVERSATION.tokensMax } = options;
  const countTokens: CountTokens<M> = options.countTokens ?? estimateTokens;
  const newCount = (): Counter<M> => {
    let tokens = 0;
    return (messages) => {
      for (const message of messages) tokens += countTokens(message);
      return tokensMax !== false && tokens > tokensMax;
    };
  };
  const shelf =
    retention === "persistent" ? await openStored<M>(ctx, options, newCount()) : openState<M>(ctx, retention, newCount);
  let said: readonly M[] = [];
  return {
    history: shelf.history,
    window: (system, current) => conversationWindow([...system, ...shelf.history], { current, tokensMax, countTokens }),
    async append(messages) {
      said = [...said, ...(messages.filter(({ role }) => role !== "system").map(storable) as M[])];
      await shelf.put(paired(said));
    },
  };
}

interface Shelf<M> {
  readonly history: readonly M[];
  put(messages: readonly M[]): Promise<void>;
}

/** Counts what it is given, from the newest on; true once that is more than a window shows. */
type Counter<M> = (messages: readonly M[]) => boolean;

// --- in ctx.state

const PREFIX = "conversation/";

interface StateEntry<M> {
  readonly runId: string;
  readonly messages: readonly M[];
}

function openState<M>(ctx: AgentContext, retention: "single_run" | "session", newCount: () => Counter<M>): Shelf<M> {
  const { state } = ctx;
  const keys = state
    .keys()
    .filter((key) => key.startsWith(PREFIX))
    .sort();
  const entries = keys.flatMap((key) => {
    const entry = state.get<StateEntry<M>>(key);
    const isOver = retention === "single_run" && entry?.runId !== ctx.runId;
    return entry === undefined || isOver ? [] : [{ key, messages: entry.messages }];
  });
  const own = `${PREFIX}${String(numberOf(keys.at(-1)) + 1).padStart(9, "0")}/${ctx.stepId}`;
  return {
    history: entries.flatMap(({ messages }) => messages),
    async put(messages) {
      state.set(own, { runId: ctx.runId, messages } satisfies StateEntry<M>);
      const lasting = new Set(newestEntries([...entries, { key: own, messages }], newCount()).map(({ key }) => key));
      for (const key of keys) if (!lasting.has(key)) state.delete(key);
    },
  };
}

function numberOf(key: string | undefined): number {
  return key === undefined ? 0 : Number(key.slice(PREFIX.length).split("/")[0]);
}

/** The last of them, up to the one with which they are more than a window shows. */
function newestEntries<M, E extends { readonly messages: readonly M[] }>(
  entries: readonly E[],
  isFull: Counter<M>,
): readonly E[] {
  const first = entries.findLastIndex(({ messages }) => isFull(messages));
  return entries.slice(Math.max(first, 0));
}

// --- in a store

async function openStored<M>(
  ctx: AgentContext,
  { store, id }: ConversationOptions<any>,
  isFull: Counter<M>,
): Promise<Shelf<M>> {
  if (store === undefined || id === undefined) throw new TypeError("a persistent conversation without store or id");
  const conversation = typeof id === "function" ? id(ctx) : id;
  if (typeof conversation !== "string" || conversation === "")
    throw new OrchestraError("ORCH_BAD_OPTION", "memory.id: expected a non-empty string from the function");
  const upTo = await ctx.once("conversation/last", () => store.last(conversation));
  const newest: M[][] = [];
  for await (const { messages } of store.read(conversation, upTo)) {
    const entry = [...messages] as M[];
    newest.push(entry);
    if (isFull(entry)) break;
  }
  return {
    history: newest.reverse().flat(),
    put: (messages) => store.put(conversation, ctx.idempotencyKey, messages),
  };
}

/** Without what no store takes: a `URL` becomes its text. */
function storable(value: unknown): unknown {
  if (value instanceof URL) return value.href;
  if (Array.isArray(value)) return value.map(storable);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([key, field]) => [key, storable(field)]),
  );
}
