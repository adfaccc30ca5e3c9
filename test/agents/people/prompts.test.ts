// Structured prompts where nobody draws them: piped lines, and answers given by code.

import { PassThrough } from "node:stream";

import { describe, expect, it } from "vitest";

import {
  CommunicationManager,
  memoryStorage,
  next,
  Orchestra,
  OrchestraInstance,
  queueChannel,
  StateManager,
  terminalChannel,
  type AgentContext,
} from "../../../src/index.ts";

const CHOICE = { kind: "choice", message: "which?", choices: ["red", { value: { id: 2 }, label: "green" }] };
const CONFIRM = { kind: "confirm", message: "sure?" };
const TEXT = { kind: "text", message: "why?" };
const APPROVAL = { kind: "approval", tool: "send", input: { to: "Ada" } };
const RECOVERY = { kind: "recovery", node: "B", error: { code: "ORCH_AGENT_FAILED", message: "it broke" } };

const asking = (prompt: unknown) => ({
  topology: { nodes: ["A"] },
  agents: { A: (input: unknown, ctx: AgentContext) => (ctx.question ? [input] : next.ask(prompt)) },
});

describe("piped lines", () => {
  async function piped(prompt: unknown, lines: string): Promise<{ answer: unknown; shown: string }> {
    const [input, output] = [new PassThrough(), new PassThrough()];
    let shown = "";
    output.on("data", (chunk: Buffer) => (shown += chunk.toString()));
    input.end(lines);
    const channel = terminalChannel({ input, output });
    const result = await Orchestra.run({ task: "x", ...asking(prompt), communicationConfig: { channel } });
    return { answer: result.status === "completed" ? (result.finalResponse as unknown[])[0] : result.status, shown };
  }

  it.each([
    ["a choice by its number", CHOICE, "2\n", { id: 2 }],
    ["a choice by its label", CHOICE, "green\n", { id: 2 }],
    ["yes", CONFIRM, "Y\n", true],
    ["no", CONFIRM, "no\n", false],
    ["a number of the list of yes and no", CONFIRM, "2\n", false],
    ["text that looks like a number", TEXT, "2\n", "2"],
    ["an approval", APPROVAL, "allow\n", { approved: true }],
    ["what to do about a failure", RECOVERY, "skip\n", { action: "skip", value: null }],
  ])("give %s", async (_, prompt, lines, expected) => {
    expect((await piped(prompt, lines)).answer).toEqual(expected);
  });

  it("show the choices, and ask again after a line that is none", async () => {
    const { answer, shown } = await piped(CHOICE, "purple\nred\n");
    expect(answer).toBe("red");
    expect(shown).toBe(
      '[A] which?\n  1 red\n  2 green\n> purple\nanswer: expected one of "red", "green", got "purple"\n> red\n',
    );
  });

  it("leave the question open when they end", async () => {
    expect((await piped(CONFIRM, "perhaps\n")).answer).toBe("awaiting_user");
  });
});

describe("an answer given by code", () => {
  it.each([
    [CHOICE, "blue"],
    [CHOICE, { id: 3 }],
    [CONFIRM, "perhaps"],
    [TEXT, { text: "x" }],
    [APPROVAL, { approved: "yes" }],
    [APPROVAL, { approved: true, amount: 7 }],
    [RECOVERY, "again"],
    [RECOVERY, { action: "give up" }],
  ])("to %j is refused when it does not fit: %j", async (prompt, wrong) => {
    const communicationManager = new CommunicationManager();
    const stateManager = new StateManager({ storage: memoryStorage() });
    await using orchestra = new OrchestraInstance({ ...asking(prompt), communicationManager, stateManager });
    const { sessionId } = await orchestra.execute("x");
    const [question] = await communicationManager.pending({ sessionId });
    await expect(communicationManager.submitResponse(question!.questionId, wrong)).rejects.toMatchObject({
      code: "ORCH_ANSWER_INVALID",
    });
    await expect(orchestra.resumeSession(sessionId, { userResponse: wrong })).rejects.toMatchObject({
      code: "ORCH_ANSWER_INVALID",
    });
    expect(await communicationManager.pending({ sessionId })).toHaveLength(1);
  });

  it("reaches the agent in the form of the prompt, with what was said besides", async () => {
    const channel = queueChannel();
    const running = Orchestra.run({ task: "x", ...asking(APPROVAL), communicationConfig: { channel } });
    for await (const { questionId } of channel) {
      expect(() => channel.respond(questionId, "perhaps")).toThrow(
        expect.objectContaining({ code: "ORCH_ANSWER_INVALID" }),
      );
      channel.respond(questionId, { approved: false, reason: "not to her" });
      break;
    }
    expect((await running).orThrow().finalResponse).toEqual([{ approved: false, reason: "not to her" }]);
  });

  it("is any value where the prompt has no form of ours", async () => {
    const channel = queueChannel();
    const running = Orchestra.run({
      task: "x",
      ...asking({ kind: "choice", choices: [] }),
      communicationConfig: { channel },
    });
    for await (const { questionId } of channel) {
      channel.respond(questionId, { anything: 1 });
      break;
    }
    expect((await running).orThrow().finalResponse).toEqual([{ anything: 1 }]);
  });
});
