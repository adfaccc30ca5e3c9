import { describe, expect, it } from "vitest";
import { type SteeredReply } from "../../../src/agents/steering/action.ts";
import type { AllowedActions } from "../../../src/agents/steering/allowed-actions.ts";
import { readReply } from "../../../src/agents/steering/read-reply.ts";
import { next } from "../../../src/runtime/agent.ts";

const HUB: AllowedActions = {
  calls: [
    { agent: "Researcher", how: "call" },
    { agent: "Critic", how: "call" },
  ],
  exits: [],
  mayFinish: true,
  mayAskUser: true,
  mayParallel: true,
  tools: ["search"],
  mayRecover: false,
  plainValue: "call",
};
const said = (next_action: string, action_input?: unknown): string => JSON.stringify({ next_action, action_input });
const command = (made: ReturnType<typeof next.final>): SteeredReply => ({ type: "command", command: made });

describe("the JSON contract", () => {
  const invoke = command(next.invoke("Critic", "read it"));
  const json = said("invoke_agent", { agent: "Critic", input: "read it" });
  it.each([
    ["bare", json],
    ["fenced", `\`\`\`json\n${json}\n\`\`\``],
    ["fenced without a language", `\n\`\`\`\n${json}\n\`\`\`\n`],
    ["amid prose", `I think {so}. Here "it" is:\n${json}\nThat's all.`],
    ["in a fenced block amid prose", `Sure!\n\n\`\`\`json\n${json}\n\`\`\`\nDone.`],
    ["said twice in the same words", `${json}\n${json}`],
    ["spread over lines", JSON.stringify(JSON.parse(json), null, 2)],
    ["with a thought that has braces", JSON.stringify({ thought: 'a } and a { and a "', ...JSON.parse(json) })],
  ])("is read %s", (_how, text) => {
    expect(readReply(text, HUB, "auto")).toEqual(invoke);
  });

  it("carries text that holds a fence and another contract", () => {
    const value = `\`\`\`json\n${json}\n\`\`\``;
    expect(readReply(`So:\n${said("final_response", value)}`, HUB, "auto")).toEqual(command(next.final(value)));
  });
});
