// kill -9 around a model call, on a real folder: what the journal has is not asked again, not shown again and not counted
// twice. The server counts.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { LevelStorage, OrchestraInstance, StateManager } from "orchestra";
import { defineTool, modelAgent } from "orchestra/agents";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startModelServer, type ModelReply, type ModelServer } from "../../support/model-server.ts";
import { childProgram } from "../../support/child-program.ts";

const CHILD = await childProgram(new URL("./killed-child.ts", import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orchestra-killed-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function child(server: ModelServer, how: string): { process: ChildProcess; ended: Promise<string | null> } {
  const one = spawn(process.execPath, [CHILD, server.url, folder, how], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { process: one, ended: new Promise((resolve) => one.on("close", (_code, signal) => resolve(signal))) };
}

/** `onStarted`: the step that was under way is seen to have begun, so what it shows from now on is seen too. */
async function takeUp(server: ModelServer, onStarted?: () => void) {
  let noted = 0;
  await using instance = new OrchestraInstance({
    topology: { nodes: ["M"] },
    agents: {
      M: modelAgent({
        name: "M",
        model: createOpenAICompatible({ name: "test", baseURL: server.url, includeUsage: true })("m"),
        tools: [defineTool({ name: "note", run: () => `again ${++noted}` })],
        price: { input: 1, output: 1 },
      }),
    },
    stateManager: new StateManager({ storage: new LevelStorage(folder, { durability: "process" }) }),
  });
  const chunks: unknown[] = [];
  const following = (async () => {
    for await (const event of instance.events("s")) {
      if (event.type === "step.started") onStarted?.();
      if (event.type === "step.chunk") chunks.push(event.chunk);
      if (event.type === "run.completed" || event.type === "run.failed") return;
    }
  })();
  const result = await instance.resumeSession("s");
  await following;
  return { result: result.orThrow(), chunks, noted };
}

const TOOL_TURN: ModelReply = {
  text: "I note it. ",
  toolCalls: [{ id: "c1", name: "note", input: {} }],
  usage: { input: 100, output: 10 },
};
const LAST_TURN: ModelReply = { text: ["all ", "noted"], usage: { input: 200, output: 20 } };
const USAGE = { inputTokens: 300, outputTokens: 30, totalTokens: 330, costUsd: 330 / 1_000_000, apiCalls: 2 };

it("asks nothing again when it is killed between the last answer and the commit of the step", async () => {
  await using server = await startModelServer([TOOL_TURN, LAST_TURN]);
  expect(await child(server, "die").ended).toBe("SIGKILL");
  expect(server.requests).toHaveLength(2);
  const { result, chunks, noted } = await takeUp(server);
  expect(result.finalResponse).toBe("all noted");
  expect({ requests: server.requests.length, noted, chunks }).toEqual({ requests: 2, noted: 0, chunks: [] });
  expect(result.metadata.usage).toEqual(USAGE);
});

it("asks again only what was not answered yet when it is killed in the middle of an answer", async () => {
  let follow = (): void => undefined;
  const following = new Promise<void>((resolve) => (follow = resolve));
  await using server = await startModelServer([
    TOOL_TURN,
    { text: ["all ", "not"], betweenMs: 60_000 },
    (request) => ({ ...LAST_TURN, text: `told: ${request.body.messages.at(-1)?.content}`, when: following }),
  ]);
  const { process: killed, ended } = child(server, "");
  await expect.poll(() => server.requests.length).toBe(2);
  killed.kill("SIGKILL");
  await ended;
  const { result, chunks, noted } = await takeUp(server, follow);
  expect(result.finalResponse).toBe("told: noted");
  expect({ requests: server.requests.length, noted, chunks }).toEqual({
    requests: 3,
    noted: 0,
    chunks: ["told: noted"],
  });
  expect(result.metadata.usage).toEqual(USAGE);
});
