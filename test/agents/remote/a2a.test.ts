import { describe, expect, it } from "vitest";
import { AgentCard } from "@a2a-js/sdk";
import { ClientFactory } from "@a2a-js/sdk/client";
import { InMemoryTaskStore } from "@a2a-js/sdk/server";
import { defineAgent, LevelStorage, next, Orchestra, OrchestraInstance, StateManager } from "../../../src/index.ts";
import { serveA2a, type RequestHandler } from "../../../src/agents/index.ts";
import { temporaryFolder } from "../../state/temporary-folder.ts";
import { CARD, foreign, message, piece, remote, served, status, task } from "./a2a-servers.ts";
import { bodyOf, httpServer, runOf, stream, tcpServer } from "./servers.ts";

const QUICK = { maxAttempts: 3, initialDelayMs: 1, maxDelayMs: 1 };
const RETRYING = { executionConfig: { retry: { transient: QUICK, timeout: QUICK } } };
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe("an agent served by A2A", () => {
  it("shows its card, and answers a client of the SDK", async () => {
    const agent = defineAgent({ name: "Writer", description: "writes", run: (input) => `about ${String(input)}` });
    const { url } = await served(agent, { authorize: ({ headers }) => headers.authorization === undefined });
    const card = AgentCard.fromJSON(await (await fetch(`${url}/.well-known/agent-card.json`)).json());
    expect(card).toMatchObject({
      name: "Writer",
      description: "writes",
      capabilities: { streaming: true },
      supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
      skills: [{ id: "Writer", description: "writes" }],
    });
    const client = await new ClientFactory().createFromUrl(url);
    const task = await client.sendMessage(message("otters"));
    expect(task).toMatchObject({
      status: { state: 3 },
      artifacts: [{ parts: [{ content: { $case: "text", value: "about otters" } }] }],
    });
    const { tasks } = await client.listTasks({
      tenant: "",
      contextId: "",
      status: 0,
      pageToken: "",
      statusTimestampAfter: undefined,
    });
    expect(tasks).toHaveLength(1);
  });

  it("is called like one of this process: chunks, value and usage arrive", async () => {
    const { url } = await served((input: { topic: string }, ctx) => {
      ctx.emit("Did you ");
      ctx.emit("know?");
      ctx.usage({ inputTokens: 7, outputTokens: 3 });
      return { title: input.topic, at: new Date(0) };
    });
    const { result, chunks } = await runOf(remote(url), { task: { topic: "otters" } });
    expect(result.error).toBe(null);
    expect(result.finalResponse).toEqual({ title: "otters", at: new Date(0) });
    expect(chunks).toEqual(["Did you ", "know?"]);
    expect(result.metadata.usage).toMatchObject({ inputTokens: 7, outputTokens: 3 });
  });

  it("answers with the text it showed, once", async () => {
    const { url } = await served((_input, ctx) => {
      for (const piece of ["Ott", "ers"]) ctx.emit(piece);
      return "Otters";
    });
    expect((await runOf(remote(url))).result.finalResponse).toBe("Otters");
  });

  it("asks its caller's people, and goes on with their answer", async () => {
    const { url } = await served((input, ctx) =>
      ctx.question === undefined ? next.ask(`Publish ${input}?`) : `${String(ctx.question.input)}: ${input}`,
    );
    const instance = new OrchestraInstance({
      topology: { nodes: ["Remote"], edges: [] },
      agents: { Remote: remote(url) },
    });
    const asked = await instance.execute("otters", { sessionId: "s1" });
    expect(asked.metadata.questions).toMatchObject([{ prompt: "Publish otters?" }]);
    expect((await instance.resumeSession("s1", { userResponse: "yes" })).finalResponse).toBe("otters: yes");
    await instance.close();
  });

  it("tells why it failed, and whether it may pass", async () => {
    let runs = 0;
    const { url } = await served(() => {
      if (++runs < 3) throw Object.assign(new Error("warming up"), { status: 503 });
      return runs;
    });
    expect((await runOf(remote(url), RETRYING)).result.finalResponse).toBe(3);
    const broken = await served(() => Promise.reject(Object.assign(new Error("not for you"), { code: "blocked" })));
    const { result } = await runOf(remote(broken.url), RETRYING);
    expect(result.error).toMatchObject({
      code: "ORCH_REMOTE_FAILED",
      message: expect.stringContaining("not for you"),
      data: { remoteCode: "blocked" },
    });
    expect(result.getExecutionTrace()).toHaveLength(1);
  });

  it("cancels the task of a run that is cancelled", async () => {
    let aborted = false;
    const { url } = await served((_input, ctx) => {
      ctx.emit("begun");
      return new Promise((_resolve, reject) => {
        ctx.signal.addEventListener("abort", () => {
          aborted = true;
          reject(new Error("aborted"));
        });
      });
    });
    const cancel = new AbortController();
    const run = Orchestra.stream({
      topology: { nodes: ["Remote"], edges: [] },
      agents: { Remote: remote(url) },
      task: "otters",
      signal: cancel.signal,
    });
    // What it emits comes after its name.
    for await (const event of run) if (event.type === "step.chunk") cancel.abort();
    expect((await run.result).status).toBe("cancelled");
    await until(() => aborted);
  });

  it("goes on when the connection breaks: the next attempt follows the task, and the agent is run once", async () => {
    let runs = 0;
    let finish: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (finish = resolve));
    const sent: string[] = [];
    const { url } = await served(
      async (_input, ctx) => {
        runs++;
        ctx.emit("so ");
        await done;
        return "fine";
      },
      {},
      (request, response) => {
        sent.push(`${request.method} ${request.url}`);
        if (sent.length === 2) {
          // The first stream is cut as soon as it has brought something.
          const write = response.write.bind(response);
          let writes = 0;
          response.write = ((...args: Parameters<typeof write>) => {
            const flowing = write(...args);
            if (++writes === 2) setTimeout(() => (request.socket.destroy(), finish()), 20);
            return flowing;
          }) as typeof response.write;
        }
        return false;
      },
    );
    const { result } = await runOf(remote(url), RETRYING);
    expect(result.error).toBe(null);
    expect(result.finalResponse).toBe("fine");
    expect(result.getExecutionTrace()).toHaveLength(2);
    expect(runs).toBe(1);
  });

  it("goes on after its server was closed in the middle and another took its place on the same store", async () => {
    const folder = await temporaryFolder();
    const stateManager = () => new StateManager({ storage: new LevelStorage(folder) });
    const effects: string[] = [];
    let server: RequestHandler | undefined;
    const url = await httpServer((request, response) => server?.(request, response));
    let begin: () => void = () => undefined;
    const began = new Promise<void>((resolve) => (begin = resolve));
    const agent = (name: string) =>
      defineAgent({
        name: "Writer",
        run: async (_input, ctx) => {
          await ctx.once("pay", () => void effects.push("paid"));
          effects.push(`begun ${name}`);
          if (name === "second") return "fine";
          begin();
          return new Promise<never>(() => undefined);
        },
      });
    const first = await serveA2a(agent("first"), { url, stateManager: stateManager() });
    server = first;
    const retry = { transient: { maxAttempts: 1_000, initialDelayMs: 20, maxDelayMs: 20 } };
    const run = runOf(remote(url), { executionConfig: { retry } });
    await began;
    await first.close();
    const second = await serveA2a(agent("second"), { url, stateManager: stateManager() });
    server = second;
    expect((await run).result.finalResponse).toBe("fine");
    expect(effects).toEqual(["paid", "begun first", "begun second"]);
    await second.close();
  });

  it("takes an answer after its server was closed, where tasks are kept as well", async () => {
    const folder = await temporaryFolder();
    const taskStore = new InMemoryTaskStore();
    let server: RequestHandler | undefined;
    const url = await httpServer((request, response) => server?.(request, response));
    const open = (): Promise<RequestHandler> =>
      serveA2a((input, ctx) => (ctx.question === undefined ? next.ask("sure?") : [ctx.question.input, input]), {
        name: "Writer",
        url,
        taskStore,
        stateManager: new StateManager({ storage: new LevelStorage(folder) }),
      });
    const instance = new OrchestraInstance({
      topology: { nodes: ["Remote"], edges: [] },
      agents: { Remote: remote(url) },
    });
    server = await open();
    await instance.execute("otters", { sessionId: "s1" });
    await server.close();
    server = await open();
    const answered = await instance.resumeSession("s1", { userResponse: "yes" });
    expect(answered.finalResponse).toEqual(["otters", "yes"]);
    await instance.close();
    await server.close();
  });

  it("answers a repeated message from the record of its run", async () => {
    let runs = 0;
    const { url } = await served(() => ++runs);
    const client = await new ClientFactory().createFromUrl(url);
    for (const id of ["m1", "m1", "m2"]) await client.sendMessage(message("otters", id));
    expect(runs).toBe(2);
  });

  it("shows no caller the tasks of another, and takes no message for a task that works", async () => {
    let finish: (value: string) => void = () => undefined;
    const { url } = await served(() => new Promise((resolve) => (finish = resolve)), {
      authorize: ({ headers }) => String(headers["x-user"]),
    });
    const rpc = async (user: string, method: string, params: unknown): Promise<any> => {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", "a2a-version": "1.0", "x-user": user },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      });
      return response.json();
    };
    const parts = [{ text: "otters" }];
    const send = (more: object) => ({ message: { messageId: "m1", role: "ROLE_USER", parts, ...more } });
    const begun = await rpc("ann", "SendMessage", { ...send({}), configuration: { returnImmediately: true } });
    const { id } = begun.result.task;
    expect((await rpc("ben", "GetTask", { id })).error).toMatchObject({ code: -32001 });
    expect((await rpc("ann", "GetTask", { id })).result).toMatchObject({ id });
    expect((await rpc("ann", "SendMessage", send({ messageId: "m2", taskId: id }))).error).toMatchObject({
      code: -32004,
    });
    finish("fine");
    await expect
      .poll(async () => (await rpc("ann", "GetTask", { id })).result.status.state)
      .toBe("TASK_STATE_COMPLETED");
    expect((await rpc("ann", "Unheard", {})).error).toMatchObject({ code: -32601 });
  });
});

describe("an agent called by A2A", () => {
  it("is asked again and again where it does not stream, and gives files as they are", async () => {
    let polls = 0;
    const artifacts = [
      { artifactId: "a", parts: [{ raw: "AQI=", filename: "x.bin", mediaType: "application/x" }] },
      { artifactId: "b", parts: [{ text: "one " }, { text: "text" }] },
    ];
    const { url, seen } = await foreign({
      SendMessage: () => ({ task: task("WORKING") }),
      GetTask: () => (++polls < 2 ? task("WORKING") : task("COMPLETED", { artifacts })),
    });
    const { result } = await runOf(remote(url));
    expect(result.finalResponse).toEqual([
      { filename: "x.bin", mediaType: "application/x", bytes: new Uint8Array([1, 2]) },
      "one text",
    ]);
    expect(seen.map(({ method }) => method)).toEqual(["SendMessage", "GetTask", "GetTask"]);
  });

  it("is not sent the message again once it told of its task", async () => {
    const methods: string[] = [];
    const url: string = await httpServer((request, response) => {
      if (request.method === "GET")
        return void response.end(JSON.stringify(CARD(url, { capabilities: { streaming: true } })));
      void bodyOf(request).then(({ id, method }) => {
        methods.push(method);
        const say = (result: unknown): string => JSON.stringify({ jsonrpc: "2.0", id, result });
        if (method !== "SendStreamingMessage")
          return response.setHeader("content-type", "application/json").end(say(task("COMPLETED", { artifacts: [] })));
        stream(response);
        return response.write(`data: ${say({ task: task("WORKING") })}\n\n`, () => response.destroy());
      });
    });
    expect((await runOf(remote(url), RETRYING)).result.success).toBe(true);
    expect(methods).toEqual(["SendStreamingMessage", "GetTask"]);
  });

  it("is asked what the task came to when its stream was taken up again, between whose pieces some were lost or came twice", async () => {
    const artifacts = [{ artifactId: "a", parts: [{ text: "Ott" }] }];
    const { url, seen } = await foreign(
      {
        SendStreamingMessage: () => [{ task: task("WORKING") }, piece("Ott", false)],
        SubscribeToTask: () => [{ task: task("WORKING", { artifacts }) }, piece("Ott"), status("COMPLETED")],
        GetTask: () => task("COMPLETED", { artifacts: [{ artifactId: "a", parts: [{ text: "Otters" }] }] }),
      },
      { capabilities: { streaming: true } },
    );
    expect((await runOf(remote(url))).result.finalResponse).toBe("Otters");
    expect(seen.map(({ method }) => method)).toEqual(["SendStreamingMessage", "SubscribeToTask", "GetTask"]);
  });

  it("is sent the message again once it has forgotten its task", async () => {
    let sent = 0;
    const { url } = await foreign({
      SendMessage: () => ({ task: task(++sent === 1 ? "WORKING" : "COMPLETED") }),
      GetTask: () => Object.assign(new Error("Task not found: t1"), { name: "-32001" }),
    });
    expect((await runOf(remote(url), RETRYING)).result.error).toBe(null);
    expect(sent).toBe(2);
  });

  it("may answer with a message instead of a task", async () => {
    const parts = [{ data: { fine: true } }];
    const { url } = await foreign({ SendMessage: () => ({ message: { messageId: "x", role: "ROLE_AGENT", parts } }) });
    expect((await runOf(remote(url))).result.finalResponse).toEqual({ fine: true });
  });

  it.each([
    ["REJECTED", "rejected"],
    ["CANCELED", "cancelled"],
    ["AUTH_REQUIRED", "unauthorized"],
    ["FAILED", "agent_error"],
  ])("fails where its task ends as %s", async (state, remoteCode) => {
    const { url, seen } = await foreign({ SendMessage: () => ({ task: task(state) }) });
    const { result } = await runOf(remote(url), RETRYING);
    expect(result.error).toMatchObject({ code: "ORCH_REMOTE_FAILED", data: { remoteCode } });
    expect(seen).toHaveLength(1);
  });

  it("gets credentials at the origin of its card, and a card leads to no refused address", async () => {
    const elsewhere = await foreign({ SendMessage: () => ({ task: task("COMPLETED") }) });
    const interfaces = (url: string) => ({
      supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
    });
    const headers = { authorization: "Bearer s3cret" };
    const one = await foreign({}, interfaces(elsewhere.url));
    expect((await runOf(remote(one.url, { headers }))).result.success).toBe(true);
    expect(elsewhere.seen[0]?.headers).not.toHaveProperty("authorization");
    const same = await foreign({ SendMessage: () => ({ task: task("COMPLETED") }) });
    await runOf(remote(same.url, { headers }));
    expect(same.seen[0]?.headers).toMatchObject(headers);
    const two = await foreign({}, interfaces("http://169.254.169.254/a2a"));
    expect((await runOf(remote(two.url))).result.error).toMatchObject({ code: "ORCH_ENDPOINT_REFUSED" });
  });

  it("is tried again where it is not there, or busy; and not where there is no card", async () => {
    let asked = 0;
    const busy = await httpServer((_request, response) => void (asked++, response.writeHead(503).end()));
    expect((await runOf(remote(busy), RETRYING)).result.error).toMatchObject({ data: { status: 503 } });
    expect(asked).toBe(3);
    const cut = await tcpServer((socket) => void (asked++, socket.destroy()));
    await runOf(remote(cut), RETRYING);
    expect(asked).toBe(6);
    const none = await httpServer((_request, response) => void (asked++, response.writeHead(404).end()));
    expect((await runOf(remote(none), RETRYING)).result.error).toMatchObject({ code: "ORCH_REMOTE_FAILED" });
    expect(asked).toBe(7);
  });
});
