import { spawn } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { defineAgent, LevelStorage, next, Orchestra, OrchestraInstance, StateManager } from "../../../src/index.ts";
import {
  memoryConversations,
  modelAgent,
  remoteAgent,
  serveAgent,
  type ServingOptions,
} from "../../../src/agents/index.ts";
import { ScriptedModel } from "../../../src/testing/index.ts";
import type { AgentLike } from "../../../src/index.ts";
import { freePorts } from "../../support/ports.ts";
import { temporaryFolder } from "../../state/temporary-folder.ts";
import { call, httpServer, LOOPBACK } from "./servers.ts";
import { childProgram } from "../../support/child-program.ts";

async function served(agent: AgentLike, options: ServingOptions = {}) {
  const handler = serveAgent(agent, { name: "Writer", ...options });
  return { endpoint: await httpServer(handler), handler };
}

const BODY = { agent_id: "Writer", session_id: "s1", run_id: "r1", input_message: { role: "user", content: "otters" } };

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A caller that is none of ours. */
function post(endpoint: string, body: unknown, headers: Record<string, string> = {}, method = "POST"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(endpoint, { method, headers: { "content-type": "application/json", ...headers } });
    sent.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(typeof body === "string" ? body : JSON.stringify(body));
  });
}

const lastOf = ({ text }: Answer): { event: string; data: any } => {
  const frames = text.split("\n\n").filter((frame) => frame.startsWith("event: "));
  const [, event = "", data = ""] = /^event: (.*)\ndata: (.*)$/.exec(frames.at(-1) ?? "") ?? [];
  return { event, data: data === "" ? undefined : JSON.parse(data) };
};

/** An agent that waits until it is let go on, and counts how often it was begun, aborted and done. */
function gated() {
  const counts = { begun: 0, paid: 0, aborted: 0, done: 0 };
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const agent = defineAgent({
    name: "Writer",
    run: async (input, ctx) => {
      counts.begun++;
      const price = await ctx.once("pay", () => ++counts.paid);
      ctx.emit("begun");
      const aborted = new Promise<never>((_resolve, reject) =>
        ctx.signal.addEventListener("abort", () => {
          counts.aborted++;
          reject(new Error("aborted"));
        }),
      );
      await Promise.race([gate, aborted]);
      counts.done++;
      return `${String(input)} for ${price}`;
    },
  });
  return { agent, counts, open };
}

/** Calls, and breaks off once the first delta came. */
async function breakOff(endpoint: string, headers: Record<string, string> = {}): Promise<void> {
  const sent = httpRequest(`${endpoint}/invoke`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
  });
  sent.end(JSON.stringify(BODY));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  await once(response, "data");
  sent.destroy();
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe("an agent that is served", () => {
  it("is called like one of this process: chunks, value and usage arrive", async () => {
    const { endpoint } = await served((input: { topic: string }, ctx) => {
      ctx.emit("Did you ");
      ctx.emit({ text: "know?", index: 1 });
      ctx.usage({ inputTokens: 7, outputTokens: 3, costUsd: 0.25 });
      return { title: input.topic, at: new Date(0), seen: new Set([1]) };
    });
    const { result, chunks } = await call(endpoint, {}, { task: { topic: "otters" } });
    expect(result.error).toBe(null);
    expect(result.finalResponse).toEqual({ title: "otters", at: new Date(0), seen: new Set([1]) });
    expect(chunks).toEqual(["Did you ", { text: "know?", index: 1 }]);
    expect(result.metadata.usage).toMatchObject({ inputTokens: 7, outputTokens: 3, costUsd: 0.25 });
  });

  it("may be a team: a topology with its agents", async () => {
    const team = {
      topology: { nodes: ["Draft", "Review"], edges: ["Draft -> Review"] },
      agents: { Draft: (topic: string) => `all about ${topic}`, Review: (text: string) => `${text}, reviewed` },
    };
    const { endpoint } = await served(team);
    expect((await call(endpoint)).result.finalResponse).toBe("all about otters, reviewed");
  });

  it("sees what came with the call: transcript, context, trace, and who calls", async () => {
    const seen: unknown[] = [];
    const agent: AgentLike = (input, ctx) => {
      const { task, session, context } = ctx;
      seen.push({ input, task, transcript: session.transcript.map(({ role, content }) => [role, content]), context });
      return "x";
    };
    const { endpoint } = await served(agent, { authorize: () => "team/a" });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const messages = [
      { role: "user", content: "hello" },
      { role: "assistant", content: "hi" },
    ];
    const context = { user_id: "u1", session_id: "not-ours", caller: { name: "somebody else" } };
    await post(`${endpoint}/invoke`, { ...BODY, messages, context }, { traceparent });
    expect(seen).toEqual([
      {
        input: "otters",
        task: "otters",
        transcript: [
          ["user", "hello"],
          ["assistant", "hi"],
        ],
        context: {
          user_id: "u1",
          traceparent,
          caller: { name: "team/a", conversation: "team%2Fa/s1", sessionId: "s1", runId: "r1" },
        },
      },
    ]);
  });

  it("remembers a conversation over its calls, by the name that its caller has, and no other's", async () => {
    const model = new ScriptedModel(["Hello Ann", "You are Ann", "Who knows?", "Who knows?"]);
    const agent = modelAgent({
      name: "Writer",
      model,
      memory: {
        retention: "persistent",
        store: memoryConversations(),
        id: ({ context }) => (context["caller"] as { conversation: string }).conversation,
      },
    });
    const { endpoint } = await served(agent, { authorize: ({ headers }) => String(headers["x-user"]) });
    const say = async (user: string, sessionId: string, task: string): Promise<number | undefined> => {
      const headers = { "x-user": user };
      (await call(endpoint, { headers, history: 0 }, { sessionId, task })).result.orThrow();
      return model.calls.at(-1)?.prompt.length;
    };
    expect(await say("ann", "s1", "I am Ann")).toBe(1);
    expect(await say("ann", "s1", "Who am I?")).toBe(3);
    expect(await say("ann", "s2", "Who am I?")).toBe(1);
    expect(await say("ben", "s1", "Who am I?")).toBe(1);
  });

  it("asks its caller's people, and goes on with their answer", async () => {
    const { endpoint } = await served((input, ctx) =>
      ctx.question === undefined ? next.ask(`Publish ${input}?`) : `${String(ctx.question.input)}: ${input}`,
    );
    const instance = new OrchestraInstance({
      topology: { nodes: ["Remote"], edges: [] },
      agents: { Remote: remoteAgent({ name: "Remote", endpoint, ...LOOPBACK }) },
    });
    const asked = await instance.execute("otters", { sessionId: "s1" });
    expect(asked.metadata.questions).toMatchObject([{ prompt: "Publish otters?" }]);
    const answered = await instance.resumeSession("s1", { userResponse: "yes" });
    await instance.close();
    expect(answered.finalResponse).toBe("otters: yes");
    // One that does not know questions is told an error.
    const told = lastOf(await post(`${endpoint}/invoke`, BODY));
    expect(told).toMatchObject({ event: "error", data: { code: "input_required", retryable: false } });
  });

  it.each<[string, AgentLike, unknown]>([
    [
      "its code",
      () => Promise.reject(Object.assign(new Error("no"), { code: "blocked" })),
      { code: "blocked", retryable: false },
    ],
    [
      "that it may pass",
      () => Promise.reject(Object.assign(new Error("no"), { status: 503 })),
      { code: "agent_error", retryable: true },
    ],
    [
      "a time-out as one",
      { run: () => new Promise(() => undefined), timeoutMs: 20 },
      { code: "timeout", retryable: true },
    ],
    [
      "a bad input as one",
      defineAgent({ name: "W", input: z.number(), run: () => 1 }),
      { code: "invalid_request", retryable: false },
    ],
    ["a refused command", () => next.invoke("Nobody"), { code: "agent_error", retryable: false }],
  ])("tells of a failure %s", async (_what, agent, data) => {
    const { endpoint } = await served(agent);
    expect(lastOf(await post(`${endpoint}/invoke`, BODY))).toMatchObject({ event: "error", data });
  });

  it("sends signs of life while it works", async () => {
    const { agent, open } = gated();
    const { endpoint } = await served(agent, { heartbeatMs: 5 });
    const headers = { "content-type": "application/json" };
    const sent = httpRequest(`${endpoint}/invoke`, { method: "POST", headers }).end(JSON.stringify(BODY));
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    let text = "";
    for await (const piece of response.setEncoding("utf8")) if ((text += String(piece)).includes(": alive\n\n")) open();
    expect(text).toContain("event: done");
  });
});

describe("a caller who reads slowly", () => {
  const PIECE = "x".repeat(64 * 1024);
  const PIECES = 400;
  const chatty: AgentLike = async (_input, ctx) => {
    for (let i = 0; i < PIECES; i++) {
      ctx.emit(PIECE);
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return "fine";
  };
  const KEYED = { "content-type": "application/json", "idempotency-key": "slow" };

  async function unread(endpoint: string) {
    const sent = httpRequest(`${endpoint}/invoke`, { method: "POST", headers: KEYED });
    sent.end(JSON.stringify(BODY));
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return response;
  }

  it("misses deltas, which are not kept for it without end, and gets the end", async () => {
    const { endpoint } = await served(chatty);
    const response = await unread(endpoint);
    // Another with the same key reads: when it has the end, all was said.
    expect(lastOf(await post(`${endpoint}/invoke`, BODY, KEYED)).event).toBe("done");
    let text = "";
    for await (const piece of response.setEncoding("utf8")) text += String(piece);
    expect(text).toMatch(/event: done\n/);
    expect(text.match(/event: delta/g)?.length).toBeLessThan(PIECES);
  });

  it("is gone when it reads nothing for long", async () => {
    const closed: Promise<unknown>[] = [];
    const handler = serveAgent(chatty, { name: "Writer", stallMs: 50 });
    const endpoint = await httpServer((request, response) => {
      closed.push(once(response, "close"));
      handler(request, response);
    });
    const response = await unread(endpoint);
    await Promise.all(closed);
    await new Promise((resolve) =>
      response
        .resume()
        .on("close", resolve)
        .on("error", () => undefined),
    );
    expect(response.complete).toBe(false);
  });
});

describe("a call that cannot be taken", () => {
  const DEEP = JSON.stringify({ ...BODY, input: null }).replace("null", `${"[".repeat(50_000)}${"]".repeat(50_000)}`);

  it.each<[string, number, unknown, string, Record<string, string>?, string?, number?]>([
    ["no JSON", 400, "{", "invalid request body"],
    ["no object", 400, "[]", "invalid request body"],
    ["no session", 400, { ...BODY, session_id: "" }, "session_id is required"],
    ["no content", 400, { ...BODY, input_message: {} }, "input_message.content is required"],
    ["bad messages", 400, { ...BODY, messages: [{ role: 1 }] }, "messages[0]"],
    ["a bad tag", 400, { ...BODY, input: { $type: "Map", value: 7 } }, "input has a tag"],
    ["too deep", 400, DEEP, "input is nested too deep", {}, "POST", 200_000],
    ["another type of content", 415, "x", "application/json", { "content-type": "text/plain" }],
    ["too much", 413, { ...BODY, x: "x".repeat(2_000) }, "larger than 1000 bytes"],
    ["another method", 405, "", "expected POST", {}, "PUT"],
    ["somebody else's question", 404, { ...BODY, answer_to: "served-0000/q1" }, "no such question"],
  ])(
    "is answered in plain words: %s",
    async (_what, status, body, words, headers = {}, method = "POST", max = 1_000) => {
      const { endpoint } = await served(() => "x", { requestBytesMax: max });
      const answer = await post(`${endpoint}/invoke`, body, headers, method);
      expect([answer.status, JSON.parse(answer.text)]).toEqual([status, { error: expect.stringContaining(words) }]);
    },
  );

  it("is one to another path; the base path may be the server's own", async () => {
    const { endpoint } = await served(() => "x", { basePath: "/agents/writer" });
    for (const path of ["/invoke", "/agents/writer", "/agents/writerinvoke"])
      expect((await post(`${endpoint}${path}`, BODY)).status).toBe(404);
    expect(lastOf(await post(`${endpoint}/agents/writer/invoke?x=1`, BODY)).event).toBe("done");
    expect((await post(`${endpoint}/agents/writer/health`, "", {}, "GET")).text).toBe('{"status":"healthy"}');
  });

  it("is one of somebody who may not call, whose body is not even read", async () => {
    const { endpoint } = await served(() => "x", {
      authorize: ({ headers }) => headers.authorization === "Bearer ann" && "ann",
    });
    expect((await post(`${endpoint}/invoke`, "{", { authorization: "Bearer eve" })).status).toBe(401);
    expect((await post(`${endpoint}/invoke`, BODY, { authorization: "Bearer ann" })).status).toBe(200);
    expect((await post(`${endpoint}/health`, "", {}, "GET")).status).toBe(200);
  });

  it("is one whose body does not come", async () => {
    const { endpoint } = await served(() => "x", { requestTimeoutMs: 50 });
    const socket = connect(Number(new URL(endpoint).port), "127.0.0.1");
    socket.write("POST /invoke HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{");
    const [head] = (await once(socket.setEncoding("utf8"), "data")) as [string];
    expect(head).toMatch(/^HTTP\/1.1 408 /);
    socket.destroy();
  });

  it("is one too many; and each after closing", async () => {
    const { agent, counts } = gated();
    const { endpoint, handler } = await served(agent, { maxRuns: 1 });
    const first = post(`${endpoint}/invoke`, BODY).catch(() => undefined);
    await until(() => counts.begun === 1);
    const refused = await post(`${endpoint}/invoke`, BODY);
    expect([refused.status, refused.headers["retry-after"]]).toEqual([429, "1"]);
    await handler.close();
    await first;
    expect((await post(`${endpoint}/invoke`, BODY)).status).toBe(503);
  });
});

describe("a call with a key", () => {
  const KEY = { "idempotency-key": "s1/1.0.1" };

  it("is run once: repeated, it is answered from its record", async () => {
    let runs = 0;
    const { endpoint } = await served(() => ++runs);
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push(lastOf(await post(`${endpoint}/invoke`, BODY, KEY)));
    expect(answers.map(({ data }) => data.output)).toEqual([1, 1, 1]);
    expect(lastOf(await post(`${endpoint}/invoke`, BODY, { "idempotency-key": "another" })).data.output).toBe(2);
  });

  it("joins the run that is under way", async () => {
    const { agent, counts, open } = gated();
    const { endpoint } = await served(agent);
    const both = [post(`${endpoint}/invoke`, BODY, KEY), post(`${endpoint}/invoke`, BODY, KEY)];
    await until(() => counts.begun === 1);
    setTimeout(open, 20);
    for (const answer of await Promise.all(both)) expect(lastOf(answer).data.final_message).toBe("otters for 1");
    expect(counts).toMatchObject({ begun: 1, done: 1 });
  });

  it("is refused for another request", async () => {
    const { endpoint } = await served((input) => input);
    await post(`${endpoint}/invoke`, BODY, KEY);
    const other = { ...BODY, input_message: { role: "user", content: "beavers" } };
    expect((await post(`${endpoint}/invoke`, other, KEY)).status).toBe(409);
  });

  it("finds no record of another caller", async () => {
    let runs = 0;
    const { endpoint } = await served(() => ++runs, { authorize: ({ headers }) => String(headers["x-user"]) });
    for (const user of ["ann", "ben", "ann"]) await post(`${endpoint}/invoke`, BODY, { ...KEY, "x-user": user });
    expect(runs).toBe(2);
  });

  it("is not taken for that of a session of the same name in another store", async () => {
    let runs = 0;
    const { endpoint } = await served(() => ++runs);
    const one = await call(endpoint, {}, { sessionId: "s1" });
    const other = await call(endpoint, {}, { sessionId: "s1" });
    expect([one.result.finalResponse, other.result.finalResponse]).toEqual([1, 2]);
  });

  it("runs anew what failed", async () => {
    let runs = 0;
    const { endpoint } = await served(() => (++runs === 1 ? Promise.reject(new Error("no")) : runs));
    expect(lastOf(await post(`${endpoint}/invoke`, BODY, KEY)).event).toBe("error");
    expect(lastOf(await post(`${endpoint}/invoke`, BODY, KEY)).data.output).toBe(2);
  });

  it("goes on, by its journal, with what was aborted when its caller went away", async () => {
    const { agent, counts, open } = gated();
    const { endpoint } = await served(agent);
    await breakOff(endpoint, KEY);
    await until(() => counts.aborted === 1);
    open();
    expect(lastOf(await post(`${endpoint}/invoke`, BODY, KEY)).data.final_message).toBe("otters for 1");
    expect(counts).toMatchObject({ begun: 2, paid: 1, done: 1 });
  });

  it("is not left when one of two callers is", async () => {
    const { agent, counts, open } = gated();
    const { endpoint } = await served(agent);
    const staying = post(`${endpoint}/invoke`, BODY, KEY);
    await until(() => counts.begun === 1);
    const sent = httpRequest(`${endpoint}/invoke`, {
      method: "POST",
      headers: { "content-type": "application/json", ...KEY },
    });
    sent.end(JSON.stringify(BODY));
    await once(sent, "response");
    sent.destroy();
    setTimeout(open, 50);
    expect(lastOf(await staying).event).toBe("done");
    expect(counts).toMatchObject({ begun: 1, aborted: 0 });
  });

  it("that nobody listens to is run to its end where the option says so", async () => {
    const { agent, counts, open } = gated();
    const { endpoint } = await served(agent, { onDisconnect: "finish" });
    await breakOff(endpoint, KEY);
    setTimeout(open, 20);
    await until(() => counts.done === 1);
    expect(lastOf(await post(`${endpoint}/invoke`, BODY, KEY)).data.final_message).toBe("otters for 1");
    expect(counts).toEqual({ begun: 1, paid: 1, aborted: 0, done: 1 });
  });

  it("is answered by another process on the same store, which also goes on with what was under way", async () => {
    const folder = await temporaryFolder();
    const stateManager = () => new StateManager({ storage: new LevelStorage(folder) });
    let runs = 0;
    const first = await served(() => ++runs, { stateManager: stateManager() });
    await post(`${first.endpoint}/invoke`, BODY, KEY);
    await first.handler.close();
    const { agent, counts, open } = gated();
    const second = await served(agent, { stateManager: stateManager() });
    expect(lastOf(await post(`${second.endpoint}/invoke`, BODY, KEY)).data.output).toBe(1);
    const cut = expect(post(`${second.endpoint}/invoke`, BODY, { "idempotency-key": "later" })).rejects.toMatchObject({
      code: "ECONNRESET",
    });
    await until(() => counts.begun === 1);
    await second.handler.close();
    await cut;
    open();
    const third = await served(agent, { stateManager: stateManager() });
    const later = await post(`${third.endpoint}/invoke`, BODY, { "idempotency-key": "later" });
    expect(lastOf(later).data.final_message).toBe("otters for 1");
    expect(counts.paid).toBe(1);
    await third.handler.close();
  });

  it("of none is cancelled with its caller", async () => {
    const { agent, counts } = gated();
    const { endpoint } = await served(agent);
    await breakOff(endpoint);
    await until(() => counts.aborted === 1);
  });
});

describe("a caller that is killed between the answer and its record", () => {
  it("gets the same answer again, and the agent was run once", async () => {
    const folder = await temporaryFolder();
    const runs: unknown[] = [];
    let requests = 0;
    const handler = serveAgent((input) => `${String(input)} ${runs.push(input)}`, { name: "Writer" });
    const endpoint = await httpServer((request, response) => {
      requests++;
      handler(request, response);
    });
    const script = await childProgram(new URL("./caller-child.ts", import.meta.url));
    const caller = async (mode: string) => {
      const child = spawn(process.execPath, [script, folder, endpoint, mode], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.on("data", (piece) => (said += String(piece)));
      const [code, signal] = (await once(child, "close")) as [number | null, string | null];
      return { code, signal, said };
    };
    expect(await caller("killed")).toEqual({ code: null, signal: "SIGKILL", said: "" });
    expect(await caller("whole")).toEqual({ code: 0, signal: null, said: "otters 1\n" });
    expect([requests, runs]).toEqual([2, ["otters"]]);
  });
});

describe("a server that is killed in the middle of a run", () => {
  it("goes on with it after its start, and the call that broke is answered", async () => {
    const folder = await temporaryFolder();
    const [port = 0] = await freePorts(1);
    const script = await childProgram(new URL("./server-child.ts", import.meta.url));
    const start = async (mode: string) => {
      const child = spawn(process.execPath, [script, folder, String(port), mode], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      onTestFinished(() => void child.kill("SIGKILL"));
      await once(child.stdout, "data");
      return child;
    };
    const first = await start("stuck");
    const retry = { transient: { maxAttempts: 1_000, initialDelayMs: 50, maxDelayMs: 50 } };
    const agent = remoteAgent({ name: "Remote", endpoint: `http://127.0.0.1:${port}`, ...LOOPBACK });
    const handle = Orchestra.stream({
      topology: { nodes: ["Remote"], edges: [] },
      agents: { Remote: agent },
      task: "otters",
      executionConfig: { retry },
    });
    let starting: Promise<unknown> | undefined;
    for await (const event of handle) {
      // The first chunk says that the agent has paid and waits.
      if (event.type !== "step.chunk" || starting !== undefined) continue;
      first.kill("SIGKILL");
      starting = once(first, "exit").then(() => start("whole"));
    }
    await starting;
    expect((await handle.result).finalResponse).toBe("otters, whole");
    expect(await readFile(join(folder, "effects"), "utf8")).toBe("begun stuck\npaid\nbegun whole\n");
  });
});
