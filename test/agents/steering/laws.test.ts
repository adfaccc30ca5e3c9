// Whatever a model says: it is read without a throw, comes to nothing that is not allowed, and what it may say it can say.

import fc from "fast-check";
import { expect, it } from "vitest";
import type { SteeredReply } from "../../../src/agents/steering/action.ts";
import type { AllowedActions } from "../../../src/agents/steering/allowed-actions.ts";
import { nativeNames } from "../../../src/agents/steering/native-names.ts";
import { readSteeringCalls } from "../../../src/agents/steering/native-tools.ts";
import { readReply } from "../../../src/agents/steering/read-reply.ts";
import { HANDLER, HUB, MIXED, STAGE, TURN } from "./allowed.ts";

const NAMES = ["A", "B", "C", "constructor", "User"];
const name = fc.constantFrom(...NAMES, "a", "Nobody");

const allowed: fc.Arbitrary<AllowedActions> = fc.oneof(
  fc.constantFrom(HUB, STAGE, MIXED, TURN, HANDLER),
  fc
    .record({
      callees: fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 4 }),
      how: fc.array(fc.constantFrom("flow", "call", "peer", "conversation"), { minLength: 4, maxLength: 4 }),
      exits: fc.constantFrom([], ["End"]),
      mayFinish: fc.boolean(),
      mayAskUser: fc.boolean(),
      tools: fc.constantFrom([], ["search"], ["invoke_agent", "team_invoke_agent"]),
      plainValue: fc.constantFrom("turn", "conversation", "call", "reply", "flow", "deliver"),
    })
    .map(({ callees, how, ...rest }) => ({
      ...rest,
      calls: callees.map((agent, i) => ({ agent, how: how[i]! })),
      mayParallel: true,
    })),
);

const action = fc.constantFrom(
  "invoke_agent",
  "parallel_invoke",
  "call_tool",
  "ask_user",
  "final_response",
  "end_conversation",
  "error_recovery",
  "constructor",
);
const invocation = fc.oneof(name, fc.record({ agent: name, input: fc.jsonValue() }, { requiredKeys: [] }));
const contract = fc.record(
  {
    thought: fc.string(),
    next_action: fc.oneof({ weight: 5, arbitrary: action }, { weight: 1, arbitrary: fc.jsonValue() }),
    action_input: fc.oneof(
      invocation,
      fc.array(invocation, { maxLength: 3 }),
      fc.record({ tool: fc.constantFrom("search", "rm"), input: fc.jsonValue() }),
      fc.constantFrom("retry", "skip", "abort"),
      fc.jsonValue(),
    ),
  },
  { requiredKeys: ["next_action"] },
);
const text = fc.oneof(
  fc.string(),
  contract.map((made) => JSON.stringify(made)),
  fc.tuple(fc.string(), contract, fc.string()).map(([a, made, b]) => `${a}${JSON.stringify(made)}${b}`),
  fc.tuple(contract, fc.nat(200)).map(([made, cut]) => JSON.stringify(made).slice(0, cut)),
  fc
    .array(fc.constantFrom("{", "}", '"next_action":', '"final_response"', ",", "```json\n", "```", "\\", '"'), {
      maxLength: 30,
    })
    .map((parts) => parts.join("")),
);
const mode = fc.constantFrom("auto" as const, "always" as const);

function assertAllowed(reply: SteeredReply, at: AllowedActions): void {
  if (reply.type === "tool") expect(at.tools).toContain(reply.name);
  if (reply.type !== "command") return;
  const { command } = reply;
  const ways = (agent: string) =>
    at.calls.find((call) => call.agent === agent)?.how ?? (at.exits.includes(agent) && "exit");
  switch (command.kind) {
    case "invoke":
      expect(ways(command.agent)).toBeTruthy();
      return;
    case "parallel": {
      const used = new Set(command.items.map(({ agent }) => ways(agent)));
      expect([["call"], ["flow"]]).toContainEqual([...used]);
      return;
    }
    case "final":
      expect(at.mayFinish || at.plainValue === "turn").toBe(true);
      return;
    case "ask":
      expect(at.mayAskUser).toBe(true);
      return;
    case "fail":
      expect(at.failure).toBeDefined();
  }
}

it("any text is read, and to nothing that is not allowed", () => {
  fc.assert(
    fc.property(text, allowed, mode, (reply, at, steered) => {
      assertAllowed(readReply(reply, at, steered), at);
    }),
    { numRuns: 2_000 },
  );
});

it("any calls of tools are read, and to nothing that is not allowed", () => {
  const input = fc.oneof(invocation, fc.jsonValue());
  fc.assert(
    fc.property(allowed, fc.array(fc.tuple(fc.nat(4), input), { maxLength: 3 }), (at, drawn) => {
      const { invoke, final, ask, recover } = nativeNames(at.tools);
      const tools = [invoke, final, ask, recover, "search"];
      const read = readSteeringCalls(
        drawn.map(([which, given], id) => ({ id: String(id), name: tools[which]!, input: given })),
        at,
      );
      if (read !== undefined) assertAllowed(read, at);
    }),
    { numRuns: 2_000 },
  );
});

it("an allowed contract comes to its command, whatever stands around it", () => {
  const prose = fc.string().filter((around) => !around.includes("next_action") && !/[{}"'`]/.test(around));
  fc.assert(
    fc.property(prose, fc.jsonValue(), fc.boolean(), prose, (before, input, isFenced, after) => {
      const json = JSON.stringify({ next_action: "invoke_agent", action_input: { agent: "Critic", input } });
      const reply = `${before}${isFenced ? `\n\`\`\`json\n${json}\n\`\`\`\n` : json}${after}`;
      const read = readReply(reply, HUB, "auto");
      expect(read).toMatchObject({ type: "command", command: { kind: "invoke", agent: "Critic" } });
      if (read.type !== "command" || read.command.kind !== "invoke") return;
      expect(read.command.input).toEqual(JSON.parse(json).action_input.input ?? null);
    }),
  );
});
