import { describe, expect, it } from "vitest";
import type { SteeredReply } from "../../../src/agents/steering/action.ts";
import type { AllowedActions } from "../../../src/agents/steering/allowed-actions.ts";
import { readReply } from "../../../src/agents/steering/read-reply.ts";
import { next, type Command } from "../../../src/runtime/agent.ts";
import { HANDLER, HUB, MIXED, said, STAGE, TURN } from "./allowed.ts";

const command = (made: Command): SteeredReply => ({ type: "command", command: made });
const read = (text: string, allowed: AllowedActions = HUB): SteeredReply => readReply(text, allowed, "auto");
const reason = (text: string, allowed: AllowedActions = HUB): string | undefined => {
  const reply = read(text, allowed);
  return reply.type === "refused" ? reply.reason : undefined;
};

describe("the JSON contract", () => {
  const json = said("invoke_agent", { agent: "Critic", input: "read it" });
  it.each([
    ["bare", json],
    ["fenced", `\`\`\`json\n${json}\n\`\`\``],
    ["fenced without a language", `\n\`\`\`\n${json}\n\`\`\`\n`],
    ["amid prose", `I think {so}. Here "it" is:\n${json}\nThat's all.`],
    ["in a fenced block amid prose", `Sure!\n\n\`\`\`json\n${json}\n\`\`\`\nDone.`],
    ["said twice in the same words", `${json}\n${json}`],
    ["spread over lines", JSON.stringify(JSON.parse(json), null, 2)],
    ["with braces and quotes in its thought", JSON.stringify({ ...JSON.parse(json), thought: 'a } and { a "' })],
  ])("is read %s", (_how, text) => {
    expect(read(text)).toEqual(command(next.invoke("Critic", "read it")));
  });

  it("carries text that holds a fence and another contract", () => {
    const value = `\`\`\`json\n${json}\n\`\`\``;
    expect(read(`So:\n${said("final_response", value)}`)).toEqual(command(next.final(value)));
  });

  it.each([
    ["a name alone", "Critic", null],
    ["agent and input", { agent: "Critic", input: { page: 1 } }, { page: 1 }],
    ["agent_name and request", { agent_name: "Critic", request: "go" }, "go"],
    ["a list of one", [{ agent: "Critic", input: 1 }], 1],
    ["a name in another case", { agent: " critic ", input: 1 }, 1],
  ])("names an agent by %s", (_how, input, expected) => {
    expect(read(said("invoke_agent", input))).toEqual(command(next.invoke("Critic", expected)));
  });

  it("maps every action to what an agent would return", () => {
    const both = [
      { agent: "Researcher", input: 1 },
      { agent: "Critic", input: null },
    ];
    expect(read(said("parallel_invoke", both))).toEqual(command(next.parallel(both)));
    expect(read(said("invoke_agent", both))).toEqual(command(next.parallel(both)));
    expect(read(said("call_tool", { tool: "search", input: { q: 1 } }))).toEqual({
      type: "tool",
      name: "search",
      input: { q: 1 },
    });
    expect(read(said("ask_user", "which?"))).toEqual(command(next.ask("which?")));
    expect(read(said("final_response", { a: 1 }))).toEqual(command(next.final({ a: 1 })));
    expect(read(said("end_conversation", "bye"), TURN)).toEqual(command(next.final("bye")));
  });

  it("lets an error handler try again, go on without, or give up", () => {
    expect(read(said("error_recovery", "retry"), HANDLER)).toEqual(command(next.invoke("Main", { pages: 3 })));
    expect(read(said("error_recovery", { action: "retry", input: { pages: 1 } }), HANDLER)).toEqual(
      command(next.invoke("Main", { pages: 1 })),
    );
    expect(read(said("error_recovery", { action: "skip" }), HANDLER)).toEqual(command(next.invoke("Fallback", null)));
    const noWayBack = { ...HANDLER, failure: { ...HANDLER.failure!, retry: null } };
    expect(read(said("error_recovery", { action: "skip" }), noWayBack)).toEqual({ type: "output", value: null });
    const onlyBack = { ...HANDLER, calls: HANDLER.calls.slice(0, 1) };
    expect(reason(said("error_recovery", "skip"), onlyBack)).toBe("skip is not allowed here: the only way on is Main");
    expect(read(said("error_recovery", { action: "abort" }), HANDLER)).toEqual(
      command(next.fail(HANDLER.failure?.error)),
    );
  });
});

describe("an answer ends where it stands", () => {
  const final = (allowed: AllowedActions) => read(said("final_response", 1), allowed);
  it.each([
    [
      "as the reply to a caller",
      { ...STAGE, mayFinish: true, plainValue: "reply" as const },
      { type: "output", value: 1 },
    ],
    ["as the response", { ...STAGE, mayFinish: true, plainValue: "deliver" as const }, { type: "output", value: 1 }],
    ["over an exit, where a plain value would go on", { ...HUB, exits: ["User"] }, command(next.invoke("User", 1))],
    ["with the whole frame, where there is no exit to name", HUB, command(next.final(1))],
    ["with the conversation", TURN, command(next.final(1))],
  ])("%s", (_where, allowed, expected) => {
    expect(final(allowed)).toEqual(expected);
  });

  it("and is refused where the work goes on", () => {
    expect(reason(said("final_response", 1), STAGE)).toBe(
      "final_response is not allowed here: the work goes on with Writer",
    );
  });
});

describe("plain text", () => {
  it("is the answer of a hub, and never a task for all of its callees", () => {
    expect(read("It is 42.")).toEqual(command(next.final("It is 42.")));
    expect(reason("It is 42.", MIXED)).toBe("the reply does not say which agent it is for");
  });

  it("goes the way of the topology elsewhere, JSON included that is no contract", () => {
    expect(read("draft", STAGE)).toEqual({ type: "output", value: "draft" });
    expect(read("hello", TURN)).toEqual({ type: "output", value: "hello" });
    expect(read('{"route": "yes"}', STAGE)).toEqual({ type: "output", value: '{"route": "yes"}' });
    expect(read("The next_action: none", STAGE)).toEqual({ type: "output", value: "The next_action: none" });
  });

  it('is refused in mode "always", and all there is in mode "never"', () => {
    expect(readReply("draft", STAGE, "always")).toMatchObject({ type: "refused", reason: "the reply is no action" });
    const contract = said("invoke_agent", "Nobody");
    expect(readReply(contract, HUB, "never")).toEqual({ type: "output", value: contract });
  });
});

describe("a reply is refused, with a reason to act on,", () => {
  it.each([
    [
      "for an agent that may not be called",
      "invoke_agent",
      { agent: "Boss" },
      'agent "Boss" may not be called from here',
    ],
    ["for an agent without a name", "invoke_agent", { input: 1 }, "invoke_agent: expected"],
    ["for no agents", "parallel_invoke", [], "parallel_invoke: expected"],
    ["for an unknown action", "delegate", {}, "next_action: expected one of invoke_agent, parallel_invoke, call_tool"],
    ["for an action that is no text", 5, {}, "next_action: expected one of"],
    ["for an unknown tool", "call_tool", { tool: "rm" }, 'there is no tool "rm"; the tools are search'],
    ["for an answer without a value", "final_response", undefined, "final_response: expected the answer"],
    ["for a question without words", "ask_user", undefined, "ask_user: expected the question"],
    ["for a conversation that is none", "end_conversation", "bye", "there is no conversation to end"],
    ["for a recovery without a failure", "error_recovery", "retry", "nothing has failed"],
    ["for a recovery of no kind", "error_recovery", "again", 'expected {"action": "retry" | "skip" | "abort"}'],
  ])("%s", (_why, action, input, expected) => {
    expect(reason(said(action, input))).toContain(expected);
  });

  it("for calls and hand-overs in one, and for peers side by side", () => {
    const pair = (...agents: string[]) => said("parallel_invoke", agents);
    expect(reason(pair("Researcher", "Writer"), MIXED)).toBe(
      "one reply cannot both call agents that come back (Researcher) and hand over to others (Writer)",
    );
    expect(reason(pair("Writer", "Rival"), MIXED)).toBe("Rival cannot be called side by side with others");
    expect(read(pair("Writer", "Editor"), MIXED).type).toBe("command");
  });

  it("for a person where there is none, and a retry of what cannot be reached", () => {
    expect(reason(said("ask_user", "who?"), STAGE)).toContain("nobody to ask");
    const failure = { ...HANDLER.failure!, retry: null };
    expect(reason(said("error_recovery", "retry"), { ...HANDLER, failure })).toContain(
      "Main cannot be called from here",
    );
  });

  it("for broken JSON that was meant as a contract", () => {
    expect(reason('{"next_action": "final_response", "action_input": "a')).toContain("not complete");
    expect(reason('{"next_action": "final_response" "action_input": 1}')).toMatch(/^the JSON cannot be read: .+/);
    expect(reason("{'next_action': 'final_response', 'action_input': 1}")).toContain("the JSON cannot be read");
    expect(reason('{"reply": {"next_action": {}} ')).toBeDefined();
  });

  it("for two actions in one reply", () => {
    const two = `${said("invoke_agent", "Critic")}\n${said("invoke_agent", "Researcher")}`;
    expect(reason(two)).toBe("the reply holds several actions; expected one");
  });

  it("and says what is allowed instead, with forms that are read as they stand", () => {
    const reply = read(said("invoke_agent", "Boss"));
    if (reply.type !== "refused") throw new Error(`it was ${reply.type}`);
    expect(reply.allowed).toContain("- Researcher (it answers you): reads papers");
    const forms = reply.allowed.split("\n").filter((line) => line.startsWith("{"));
    expect(forms.length).toBe(5);
    for (const form of forms) expect([form, read(form).type]).not.toEqual([form, "refused"]);
  });
});

it("reads a very long reply in a moment, however it is made", () => {
  const mark = '"next_action":';
  for (const text of [
    "{".repeat(100_000),
    `{"a":${mark}`.repeat(8_000),
    mark + " ".repeat(100_000),
    `${"{".repeat(50_000)}${mark}`,
  ])
    expect(["output", "refused", "command"]).toContain(read(text).type);
});
