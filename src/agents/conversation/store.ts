// Conversation store: where conversations that outlive their session are kept.

/** What one step said. */
export interface ConversationEntry {
  /** From 1, in the order of first being put. */
  readonly position: number;
  readonly messages: readonly unknown[];
}

/**
 * Kept by whoever hands it over; one may serve many agents. `LevelConversations` of `orchestra` keeps them in a folder of
 * one process, and any database with a unique index does for more.
 */
export interface ConversationStore {
  /** Position of the newest entry, 0 when there is none. */
  last(conversation: string): Promise<number>;
  /** Entries up to and including `upTo`, newest first. */
  read(conversation: string, upTo: number): AsyncIterable<ConversationEntry>;
  /** Adds an entry behind the others. One put before under the same `key` keeps its position and gets these messages. Durable once it resolves. */
  put(conversation: string, key: string, messages: readonly unknown[]): Promise<void>;
}

interface Kept {
  readonly key: string;
  readonly entry: ConversationEntry;
}

/** Conversations that outlive their session, but not their process. */
export function memoryConversations(): ConversationStore {
  const conversations = new Map<string, Kept[]>();
  const kept = (conversation: string): Kept[] => conversations.get(conversation) ?? [];
  return {
    last: async (conversation) => kept(conversation).length,
    async *read(conversation, upTo) {
      for (const { entry } of kept(conversation).slice(0, upTo).reverse()) yield entry;
    },
    async put(conversation, key, messages) {
      const entries = kept(conversation);
      const found = entries.findIndex((one) => one.key === key);
      const at = found < 0 ? entries.length : found;
      entries[at] = { key, entry: { position: at + 1, messages: structuredClone(messages) } };
      conversations.set(conversation, entries);
    },
  };
}
