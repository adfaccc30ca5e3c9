// A team of one agent that remembers across sessions, on one folder, for a test and the process it kills.

import { join } from "node:path";
import { openConversation } from "../../../src/agents/conversation/conversation.ts";
import { LevelConversations, LevelStorage, OrchestraInstance, StateManager } from "../../../src/index.ts";
import type { Message } from "../../../src/agents/conversation/message.ts";

export function team(folder: string, afterAppend: () => void | Promise<void>) {
  const conversations = new LevelConversations(join(folder, "memory"));
  const orchestra = new OrchestraInstance({
    topology: { nodes: ["A"], edges: [] },
    agents: {
      A: async (input, ctx) => {
        const memory = { retention: "persistent", store: conversations, id: "ann" } as const;
        const conversation = await openConversation<Message>(ctx, memory);
        await conversation.append([{ role: "user", content: String(input) }]);
        await afterAppend();
        return `heard ${conversation.history.map(({ content }) => String(content)).join(" ")}`;
      },
    },
    stateManager: new StateManager({ storage: new LevelStorage(join(folder, "state")) }),
  });
  return { orchestra, conversations };
}
