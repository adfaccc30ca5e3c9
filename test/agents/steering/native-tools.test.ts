import { describe, expect, it } from "vitest";
import type { AllowedActions } from "../../../src/agents/steering/allowed-actions.ts";
import { steeringInstructions } from "../../../src/agents/steering/instructions.ts";
import { readSteeringCalls, steeringTools } from "../../../src/agents/steering/native-tools.ts";
import { next } from "../../../src/runtime/agent.ts";
import { HANDLER, HUB, MIXED, STAGE, TURN } from "./allowed.ts";

const names = (allowed: AllowedActions): string[] => steeringTools(allowed, "auto").map(({ name }) => name);
const call = (name: string, input: unknown) => ({ id: "c", name, input });

describe("the tools a model is given", () => {
  it("are those of its place", () => {
    expect(names(HUB)).toEqual(["invoke_agent", "final_response", "ask_user"]);
    expect(names(MIXED)).toEqual(["invoke_agent"]);
    expect(names(TURN)).toEqual(["invoke_agent", "final_response"]);
    expect(names(HANDLER)).toEqual(["invoke_agent", "error_recovery"]);
  });

  it("name the agents that may be called, and no others", () => {
    const [invoke] = steeringTools(MIXED, "auto");
    expect(invoke?.inputJsonSchema).toMatchObject({
      properties: { agent: { enum: ["Researcher", "Writer", "Editor", "Rival"] } },
    });
  });

  it("are none with one way on, unless the mode asks for them, and none in mode never", () => {
    expect(names(STAGE)).toEqual([]);
    expect(steeringTools(STAGE, "always").map(({ name }) => name)).toEqual(["invoke_agent"]);
    expect(steeringTools(HUB, "never")).toEqual([]);
    expect([steeringInstructions(STAGE, "auto"), steeringInstructions(HUB, "never")]).toEqual(["", ""]);
  });

  it("keep clear of the agent's own tools", () => {
    const taken = { ...HUB, tools: ["invoke_agent", "team_invoke_agent", "ask_user"] };
    const [invoke, , ask] = names(taken);
    expect([invoke, ask]).toEqual(["team_invoke_agent_2", "team_ask_user"]);
    expect(readSteeringCalls([call("invoke_agent", { agent: "Critic" })], taken)).toBeUndefined();
    expect(readSteeringCalls([call(invoke!, { agent: "Critic" })], taken)).toEqual({
      type: "command",
      command: next.invoke("Critic", null),
    });
    expect(steeringInstructions(taken, "auto")).toContain("team_invoke_agent_2, final_response, team_ask_user");
  });
});

describe("the calls of a model", () => {
  it("of its own tools are none of steering's", () => {
    expect(readSteeringCalls([call("search", { q: 1 })], HUB)).toBeUndefined();
    expect(readSteeringCalls([], HUB)).toBeUndefined();
  });

  it("come to the same commands as the contract", () => {
    expect(readSteeringCalls([call("final_response", { response: "42" })], HUB)).toEqual({
      type: "command",
      command: next.final("42"),
    });
    expect(readSteeringCalls([call("ask_user", { question: "who?" })], HUB)).toEqual({
      type: "command",
      command: next.ask("who?"),
    });
    const both = [
      { agent: "Researcher", input: "a" },
      { agent: "Critic", input: "b" },
    ];
    expect(
      readSteeringCalls(
        both.map((input) => call("invoke_agent", input)),
        HUB,
      ),
    ).toEqual({ type: "command", command: next.parallel(both) });
    expect(readSteeringCalls([call("error_recovery", { action: "retry" })], HANDLER)).toEqual({
      type: "command",
      command: next.invoke("Main", { pages: 3 }),
    });
  });

  it.each([
    ["with tools", [call("search", {}), call("invoke_agent", { agent: "Critic" })], "use the tools first"],
    ["of two kinds", [call("final_response", {}), call("invoke_agent", { agent: "Critic" })], "together"],
    ["of two answers", [call("final_response", {}), call("final_response", {})], "may be called once"],
    ["of an agent that may not be called", [call("invoke_agent", { agent: "Boss" })], '"Boss" may not be called'],
    ["without a name", [call("invoke_agent", "")], "invoke_agent: expected"],
  ])("%s are refused", (_how, calls, expected) => {
    expect(readSteeringCalls(calls, HUB)).toMatchObject({ type: "refused", reason: expect.stringContaining(expected) });
  });
});
