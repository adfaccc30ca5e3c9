import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openConversation, type ConversationOptions } from "../../../src/agents/conversation/conversation.ts";
import type { Message } from "../../../src/agents/conversation/message.ts";
import { memoryConversations, type ConversationStore } from "../../../src/agents/conversation/store.ts";
import {
  LevelConversations,
  LevelStorage,
  memoryStorage,
  next,
  Orchestra,
  StateManager,
  type AgentContext,
  type AgentFunction,
} from "../../../src/index.ts";
import { team } from "./team-of-one.ts";
import { childProgram } from "../../support/child-program.ts";

const user = (content: string): Message => ({ role: "user", content });
const words = (messages: readonly Message[]): string => messages.map(({ content }) => String(content)).join(" ");

/** Answers with what it remembers, and remembers what it is told. */
function listener(memory: ConversationOptions): AgentFunction {
  return async (input: unknown, ctx: AgentContext) => {
    const conversation = await openConversation(ctx, memory);
    await conversation.append([user(String(input))]);
    return words(conversation.history);
  };
}

const CHILD = await childProgram(new URL("./stuck-child.ts", import.meta.url));

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orchestra-memory-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** One run per task, each in a process's worth of new objects on one folder. */
async function tell(memory: ConversationOptions, sessionId: string, ...tasks: string[]): Promise<unknown[]> {
  const heard: unknown[] = [];
  for (const task of tasks) {
    const stateManager = new StateManager({ storage: new LevelStorage(join(folder, "state")) });
    const agents = { A: listener(memory) };
    const result = await Orchestra.run({
      task,
      topology: { nodes: ["A"], edges: [] },
      agents,
      sessionId,
      stateManager,
    });
    heard.push(result.orThrow().finalResponse);
  }
  return heard;
}

describe("an agent remembers", () => {
  it("nothing from one run to the next by itself, but everything within a run", async () => {
    expect(await tell({}, "s", "one", "two")).toEqual(["", ""]);
    const agents = { A: listener({}), B: (input: unknown) => input };
    const topology = {
      nodes: ["A", "B"],
      edges: ["A -> B", { from: "B", to: "A", maxVisits: 2 }],
      exitPoints: ["B"],
      entryPoint: "A",
    };
    const result = await Orchestra.run({ task: "hi", topology, agents });
    expect(result.orThrow().finalResponse).toBe("hi ");
  });

  it("what was said in its session, after the process went", async () => {
    expect(await tell({ retention: "session" }, "s", "one", "two", "three")).toEqual(["", "one", "one two"]);
    expect(await tell({ retention: "session" }, "t", "four")).toEqual([""]);
  });

  it("what was said in other sessions, where it is told to, and to whom", async () => {
    const heard: unknown[] = [];
    for (const [sessionId, who, task] of [
      ["s", "ann", "one"],
      ["t", "bob", "two"],
      ["u", "ann", "three"],
    ] as const) {
      await using store = new LevelConversations(join(folder, "memory"));
      heard.push(...(await tell({ retention: "persistent", store, id: () => who }, sessionId, task)));
    }
    expect(heard).toEqual(["", "", "one"]);
  });

  it("what each of its steps was told when they ran side by side", async () => {
    const memory = { retention: "session" } as const;
    const stateManager = new StateManager({ storage: memoryStorage() });
    const run = (task: string, A: AgentFunction) =>
      Orchestra.run({
        task,
        topology: { nodes: ["A", "B"], edges: ["A <-> B"] },
        agents: { A, B: listener(memory) },
        sessionId: "s",
        stateManager,
      });
    const both = ["left", "right"].map((input) => ({ agent: "B", input }));
    await run("go", (_input, ctx) => (ctx.replies === undefined ? next.parallel(both) : "done"));
    const result = await run("look", (_input, ctx) =>
      ctx.replies === undefined ? next.invoke("B", "?") : ctx.replies[0]?.value,
    );
    expect(String(result.orThrow().finalResponse).split(" ").toSorted()).toEqual(["left", "right"]);
  });

  it("what a step said once, not what its failed attempts said", async () => {
    const memory = { retention: "session" } as const;
    let tries = 0;
    const flaky: AgentFunction = async (input, ctx) => {
      const conversation = await openConversation(ctx, memory);
      await conversation.append([user(`${String(input)}${++tries}`)]);
      if (tries < 3) throw Object.assign(new Error("busy"), { status: 503 });
      return words(conversation.history);
    };
    const stateManager = new StateManager({ storage: memoryStorage() });
    const run = (A: AgentFunction) =>
      Orchestra.run({
        task: "try",
        topology: { nodes: ["A"], edges: [] },
        agents: { A },
        sessionId: "s",
        stateManager,
        executionConfig: { retry: { transient: { initialDelayMs: 1 } } },
      });
    expect((await run(flaky)).orThrow().finalResponse).toBe("");
    expect((await run(listener(memory))).orThrow().finalResponse).toBe("try3");
  });

  it("of a long session as much as a window shows, and keeps no more", async () => {
    const memory = { retention: "session", tokensMax: 5, countTokens: () => 1 } as const;
    const stateManager = new StateManager({ storage: memoryStorage() });
    let kept = 0;
    const agents = {
      A: async (input: unknown, ctx: AgentContext) => {
        const conversation = await openConversation(ctx, memory);
        kept = ctx.state.keys().length;
        await conversation.append([user(String(input))]);
        return words(conversation.window([{ role: "system", content: "sys" }], [user(String(input))]));
      },
    };
    const told: unknown[] = [];
    for (let task = 1; task <= 12; task++) {
      const topology = { nodes: ["A"], edges: [] };
      const result = await Orchestra.run({ task: String(task), topology, agents, sessionId: "s", stateManager });
      told.push(result.orThrow().finalResponse);
    }
    expect(told.at(-1)).toBe("sys 9 10 11 12");
    expect(kept).toBeLessThanOrEqual(6);
  });
});

describe("a step that runs again", () => {
  it("hears what it heard before, though others spoke meanwhile", async () => {
    const inner = memoryConversations();
    const heard: string[] = [];
    const memory = { retention: "persistent", store: inner, id: "all" } as const;
    const agents = {
      A: async (_input: unknown, ctx: AgentContext) => {
        const conversation = await openConversation(ctx, memory);
        heard.push(words(conversation.history));
        await conversation.append([user("mine")]);
        if (ctx.attempt > 1) return null;
        await inner.put("all", "another", [user("other")]);
        throw Object.assign(new Error("busy"), { status: 503 });
      },
    };
    await inner.put("all", "before", [user("before")]);
    const result = await Orchestra.run({
      task: "t",
      topology: { nodes: ["A"], edges: [] },
      agents,
      executionConfig: { retry: { transient: { initialDelayMs: 1 } } },
    });
    expect(result.error).toBe(null);
    expect(heard).toEqual(["before", "before"]);
    expect(await spokenIn(inner, "all")).toBe("before mine other");
  });

  it("adds to a conversation once, though the process was killed after it had added", async () => {
    const child = spawn(process.execPath, [CHILD, folder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    const { orchestra, conversations } = team(folder, () => undefined);
    const [recovered] = await orchestra.recover();
    expect((await recovered?.result)?.finalResponse).toBe("heard ");
    expect(await spokenIn(conversations, "ann")).toBe("hello");
    await orchestra.close();
    await conversations.close();
  });
});

async function spokenIn(store: ConversationStore, name: string): Promise<string> {
  const messages: Message[] = [];
  for await (const entry of store.read(name, await store.last(name)))
    messages.unshift(...(entry.messages as Message[]));
  return words(messages);
}

describe("memory that cannot be is refused", () => {
  it.each([
    [{ retention: "forever" }, "memory.retention"],
    [{ retention: "persistent" }, "memory.store"],
    [{ retention: "persistent", store: memoryConversations() }, "memory.id"],
    [{ retention: "persistent", store: memoryConversations(), id: () => "" }, "memory.id"],
    [{ store: memoryConversations() }, "memory.store"],
    [{ tokensMax: 0 }, "memory.tokensMax"],
    [{ tokens: 5 }, "memory.tokens"],
  ])("%j", async (memory, field) => {
    const agents = { A: listener(memory as ConversationOptions) };
    const { error } = await Orchestra.run({ task: "t", topology: { nodes: ["A"], edges: [] }, agents });
    expect(error).toMatchObject({ code: "ORCH_BAD_OPTION", message: expect.stringContaining(`${field}: `) });
  });
});
