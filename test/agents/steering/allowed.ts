// Places of agents, for tests of what is read there.

import type { AllowedActions } from "../../../src/agents/steering/allowed-actions.ts";

/** Before its calls, at the root, beside a person. */
export const HUB: AllowedActions = {
  calls: [
    { agent: "Researcher", how: "call", description: "reads\n  papers" },
    { agent: "Critic", how: "call" },
  ],
  exits: [],
  mayFinish: true,
  mayAskUser: true,
  mayParallel: true,
  tools: ["search"],
  plainValue: "call",
};

/** In the middle: one way on. */
export const STAGE: AllowedActions = {
  calls: [{ agent: "Writer", how: "flow" }],
  exits: [],
  mayFinish: false,
  mayAskUser: false,
  mayParallel: true,
  tools: [],
  plainValue: "flow",
};

/** A hub that hands over in the end: calls, a peer and a way on, but no end here. */
export const MIXED: AllowedActions = {
  ...HUB,
  calls: [
    { agent: "Researcher", how: "call" },
    { agent: "Writer", how: "flow" },
    { agent: "Editor", how: "flow" },
    { agent: "Rival", how: "peer" },
  ],
  mayFinish: false,
  mayAskUser: false,
};

export const TURN: AllowedActions = {
  ...STAGE,
  calls: [{ agent: "Other", how: "conversation" }],
  mayFinish: true,
  mayParallel: false,
  plainValue: "turn",
};

/** Behind an error edge, with a way back to what failed. */
export const HANDLER: AllowedActions = {
  ...STAGE,
  calls: [
    { agent: "Main", how: "flow" },
    { agent: "Fallback", how: "flow" },
  ],
  failure: {
    error: { code: "ORCH_AGENT_FAILED", message: "no paper left", node: "Main" },
    input: { pages: 3 },
    retry: "Main",
  },
};

export const said = (next_action: unknown, action_input?: unknown): string =>
  JSON.stringify({ thought: "hm", next_action, action_input });
