import { once } from "node:events";
import type { RequestListener } from "node:http";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Orchestra, OrchestraInstance } from "../../../src/index.ts";
import { remoteAgent, type RemoteAgentOptions } from "../../../src/agents/index.ts";
import { bodyOf, call, DONE, httpServer, LOOPBACK, stream, streaming, tcpServer } from "./servers.ts";

const event = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const QUICK = { maxAttempts: 3, initialDelayMs: 1, maxDelayMs: 1 };
const RETRYING = { executionConfig: { retry: { transient: QUICK, timeout: QUICK, invalid_output: QUICK } } };

/** A server that takes these answers in turn, and remembers what it was asked. */
async function answering(...answers: RequestListener[]) {
  const asked: { headers: Record<string, unknown>; url: string | undefined; body: any }[] = [];
  const endpoint = await httpServer((request, response) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    const entry = { headers: request.headers, url: request.url, body: undefined };
    asked.push(entry);
    void bodyOf(request).then((body) => {
      entry.body = body;
      answer?.(request, response);
    });
  });
  return { endpoint, asked };
}

describe("a call of a remote agent", () => {
  it("sends what the protocol asks for, and of the context what it is told to", async () => {
    const { endpoint, asked } = await answering(streaming(DONE));
    const instance = new OrchestraInstance({
      topology: { nodes: ["Remote"], edges: [] },
      agents: {
        Remote: remoteAgent({
          name: "Remote",
          agentId: "writer",
          endpoint: `${endpoint}/agents/writer/?tenant=7`,
          headers: () => ({ authorization: "Bearer s3cret" }),
          context: ["user_id", "missing"],
          ...LOOPBACK,
        }),
      },
    });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const context = { user_id: "u1", password: "x", traceparent };
    await instance.execute("first", { sessionId: "s1", context });
    const result = await instance.execute({ task: { topic: "otters" }, sessionId: "s1", context });
    await instance.close();
    expect(result.finalResponse).toBe("fine");
    expect(asked[1]?.url).toBe("/agents/writer/invoke?tenant=7");
    expect(asked[1]?.headers).toMatchObject({
      accept: "text/event-stream",
      "content-type": "application/json",
      authorization: "Bearer s3cret",
      traceparent,
      "x-session-id": "s1",
      "x-run-id": result.runId,
      "idempotency-key": `${result.runId}/s1/2.0.1`,
    });
    expect(asked[1]?.body).toEqual({
      agent_id: "writer",
      session_id: "s1",
      run_id: result.runId,
      input_message: { role: "user", content: '{"topic":"otters"}' },
      input: { topic: "otters" },
      messages: [
        { role: "user", content: "first" },
        { role: "assistant", content: "fine" },
      ],
      context: { user_id: "u1" },
    });
  });

  it("shows deltas as chunks, skips what it cannot read, and takes usage and data of several lines", async () => {
    const endpoint = await httpServer(
      streaming(
        ": hello\r\n\r\n",
        'event: delta\r\ndata: {"text":\r\ndata: "Ott"}\r\n\r\n',
        "event: delta\ndata: {broken\n\n",
        'event: delta\ndata: {"no":"text"}\n\n',
        "event: unheard-of\ndata: 1\n\n",
        event("state", { state: "thinking" }),
        event("delta", { text: "ers" }),
        event("done", { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 9 } }),
        event("delta", { text: "too late" }),
      ),
    );
    const { result, chunks } = await call(endpoint);
    expect(chunks).toEqual(["Ott", "ers"]);
    // Without a final message the deltas are the answer.
    expect(result.finalResponse).toBe("Otters");
    expect(result.metadata.usage).toMatchObject({ inputTokens: 7, outputTokens: 2, apiCalls: 1 });
  });

  it("takes one delta of a MiB", async () => {
    const text = "x".repeat(1024 * 1024);
    const { chunks } = await call(await httpServer(streaming(event("delta", { text }), DONE)));
    expect(chunks).toEqual([text]);
  });

  it("checks the output, and asks again when it does not fit", async () => {
    const { endpoint, asked } = await answering(
      streaming(event("done", { final_message: "no number" })),
      streaming(event("done", { final_message: "", output: 7 })),
    );
    const { result } = await call(endpoint, { output: z.number() }, RETRYING);
    expect(result.finalResponse).toBe(7);
    expect(asked).toHaveLength(2);
  });
});

describe("a remote agent that fails", () => {
  const broken: readonly [what: string, answer: RequestListener][] = [
    ["a stream that ends without `done`", streaming(event("delta", { text: "half" }))],
    [
      "a connection that is cut in the middle of an event",
      (_request, response) => {
        stream(response);
        response.write('event: done\ndata: {"final_mess', () => response.destroy());
      },
    ],
    ["a connection that is cut before an answer", (request) => void request.socket.destroy()],
    ["503", (_request, response) => void response.writeHead(503).end('{"error":"warming up"}')],
    ["an error that says it may pass", streaming(event("error", { code: "x", message: "busy", retryable: true }))],
    ["an error of a model", streaming(event("error", { code: "llm_error", message: "busy" }))],
  ];
  it.each(broken)("is asked again after %s, with the same key", async (_what, answer) => {
    const { endpoint, asked } = await answering(answer, answer, streaming(DONE));
    const { result } = await call(endpoint, {}, RETRYING);
    expect(result.finalResponse).toBe("fine");
    expect(asked).toHaveLength(3);
    expect(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
  });

  const final: readonly [what: string, answer: RequestListener, error: unknown][] = [
    [
      "404",
      (_request, response) => void response.writeHead(404).end('{"error":"agent Remote not found"}'),
      { code: "ORCH_REMOTE_FAILED", data: { remoteCode: "agent_error", status: 404 } },
    ],
    [
      "an error event",
      streaming(event("error", { code: "blocked", message: "not for you" })),
      { code: "ORCH_REMOTE_FAILED", message: expect.stringContaining("not for you"), data: { remoteCode: "blocked" } },
    ],
    [
      "an error event that cannot be read",
      streaming("event: error\ndata: {\n\n"),
      { code: "ORCH_REMOTE_FAILED", message: expect.stringContaining("cannot be read") },
    ],
    [
      "an answer that is no stream",
      (_request, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<html>"),
      { code: "ORCH_REMOTE_FAILED", message: expect.stringContaining("text/html") },
    ],
  ];
  it.each(final)("is not asked again after %s", async (_what, answer, error) => {
    const { endpoint, asked } = await answering(answer);
    const { result } = await call(endpoint, {}, RETRYING);
    expect(result.error).toMatchObject(error as object);
    expect(asked).toHaveLength(1);
  });

  it("does not have a redirect followed, to this machine least of all", async () => {
    let reached = false;
    const inner = await httpServer(() => void (reached = true));
    const { endpoint } = await answering(
      (_request, response) => void response.writeHead(307, { location: `${inner}/invoke` }).end(),
    );
    const { result } = await call(endpoint);
    expect(result.error).toMatchObject({ code: "ORCH_REMOTE_FAILED", data: { status: 307 } });
    expect(result.error?.message).toContain(`redirects to ${inner}/invoke`);
    expect(reached).toBe(false);
  });

  it("is left in peace for as long as it asks", async () => {
    const { endpoint } = await answering(
      (_request, response) => void response.writeHead(429, { "retry-after": "3600" }).end(),
      streaming(DONE),
    );
    const events: string[] = [];
    const cancel = new AbortController();
    const handle = Orchestra.stream({
      topology: { nodes: ["Remote"], edges: [] },
      agents: { Remote: remoteAgent({ name: "Remote", endpoint, ...LOOPBACK }) },
      task: "otters",
      signal: cancel.signal,
    });
    for await (const one of handle) {
      events.push(one.type);
      if (one.type !== "step.retrying") continue;
      expect(one.retryAtMs - one.at).toBeGreaterThanOrEqual(3_590_000);
      cancel.abort();
    }
    expect(events).toContain("step.retrying");
    expect((await handle.result).status).toBe("cancelled");
  });

  it("ends a run as timed out where it says so itself", async () => {
    const { result } = await call(
      await httpServer(streaming(event("error", { code: "timeout", message: "too slow" }))),
    );
    expect(result.error).toMatchObject({ code: "ORCH_TIMEOUT", data: { remoteCode: "timeout" } });
  });

  it("that is not there fails after its retries", async () => {
    const { result } = await call("http://127.0.0.1:1", {}, RETRYING);
    expect(result.error).toMatchObject({ code: "ORCH_REMOTE_FAILED", cause: { code: "ECONNREFUSED" } });
    expect(result.getExecutionTrace()).toHaveLength(3);
  });
});

describe("the query of an endpoint", () => {
  it("stands in no message: it may hold a secret", async () => {
    const { endpoint } = await answering(
      (_request, response) => void response.writeHead(500).end(),
      streaming(event("error", { code: "x", message: "no" })),
      streaming(""),
    );
    for (let i = 0; i < 3; i++) {
      const { error } = (await call(`${endpoint}?token=s3cret`)).result;
      expect(JSON.stringify(error)).toContain("/invoke");
      expect(JSON.stringify(error)).not.toContain("s3cret");
    }
  });
});

describe("a hostile remote agent", () => {
  const TOO_LARGE = { code: "ORCH_PAYLOAD_TOO_LARGE" };

  /** Writes `text` again and again for as long as somebody reads. */
  const endless =
    (text: string): RequestListener =>
    (_request, response) => {
      stream(response);
      const more = (): void => {
        while (!response.destroyed && response.write(text));
      };
      response.on("drain", more);
      more();
    };

  it.each<[string, string, Partial<RemoteAgentOptions["limits"] & object>]>([
    ["never ends its stream", event("delta", { text: "x".repeat(1_000) }), { responseBytesMax: 200_000 }],
    ["never ends a line", "data: xxxxxxxxxxxxxxxx", { eventBytesMax: 100_000 }],
    ["never ends an event", "data: xxxxxxxxxxxxxxxxxxx\n", { eventBytesMax: 100_000 }],
    ["sends events without number", event("state", {}), { eventsMax: 500 }],
    ["sends comments without number", ": alive\n", { responseBytesMax: 200_000 }],
  ])("that %s is cut off at the bound", async (_what, text, limits) => {
    const { result } = await call(await httpServer(endless(text)), { limits });
    expect(result.error).toMatchObject(TOO_LARGE);
  });

  it("that says nothing is given up after the idle time", async () => {
    let closed: Promise<unknown> | undefined;
    const endpoint = await tcpServer((socket) => {
      socket.resume();
      closed = once(socket, "close");
    });
    const { result } = await call(endpoint, { idleTimeoutMs: 50 });
    expect(result.error).toMatchObject({ code: "ORCH_TIMEOUT", message: expect.stringContaining("was silent") });
    await closed;
  });

  it("that sends a byte now and then is given up after the whole time, while it reads the head and the body", async () => {
    for (const head of [
      "HTTP/1.1 200 OK\r\nx-slow: ",
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ",
    ]) {
      const endpoint = await tcpServer((socket) => {
        socket.resume();
        socket.write(head);
        const beat = setInterval(() => socket.write("x"), 10);
        socket.on("close", () => clearInterval(beat));
      });
      const { result } = await call(endpoint, { timeoutMs: 150, idleTimeoutMs: 10_000 });
      expect(result.error).toMatchObject({ code: "ORCH_TIMEOUT" });
    }
  });

  it("that sends a number of millions of digits takes no time to be read", async () => {
    const output = { $type: "BigInt", value: "9".repeat(4_000_000) };
    const { result } = await call(await httpServer(streaming(event("done", { output }))));
    expect(result.finalResponse).toEqual(output);
  });

  it("that explains its refusal at length is not listened to for long", async () => {
    const endpoint = await httpServer((request, response) => {
      request.resume();
      response.writeHead(400);
      const more = (): void => {
        while (!response.destroyed && response.write("x".repeat(10_000)));
      };
      response.on("drain", more);
      more();
    });
    const { result } = await call(endpoint);
    expect(result.error).toMatchObject({ code: "ORCH_REMOTE_FAILED", data: { status: 400 } });
    expect(result.error?.message.length).toBeLessThan(400);
  });
});

describe("this side of a call", () => {
  it("closes the connection when the run is cancelled", async () => {
    let closed: Promise<unknown> | undefined;
    const cancel = new AbortController();
    const endpoint = await httpServer((request, response) => {
      request.resume();
      closed = once(response, "close");
      stream(response);
      response.write(event("delta", { text: "so " }));
      cancel.abort();
    });
    const { result } = await call(endpoint, {}, { signal: cancel.signal });
    expect(result.status).toBe("cancelled");
    await closed;
  });

  it("does not send what is too large", async () => {
    const { endpoint, asked } = await answering(streaming(DONE));
    const { result } = await call(endpoint, { limits: { requestBytesMax: 1_000 } }, { task: "x".repeat(1_000) });
    expect(result.error).toMatchObject({ code: "ORCH_PAYLOAD_TOO_LARGE" });
    expect(asked).toEqual([]);
  });

  it("fails at once when the server switches to another protocol", async () => {
    const endpoint = await tcpServer((socket) => {
      socket.resume();
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n");
    });
    const { result } = await call(endpoint, { timeoutMs: false, idleTimeoutMs: false });
    expect(result.error).toMatchObject({ code: "ORCH_REMOTE_FAILED" });
  });

  it.each([{ headers: "Bearer hunter22" }, { endpoint: "no url?key=hunter22" }])(
    "repeats nothing that may be a secret when it refuses an option",
    (options) => {
      const given = { name: "R", endpoint: "https://agents.example", ...options } as never;
      expect(() => remoteAgent(given)).toThrow(
        expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.not.stringContaining("hunter22") }),
      );
    },
  );

  it.each<[string, object]>([
    ["endpoint", { endpoint: "agents.example" }],
    ["endpoint", { endpoint: "https://user:pass@agents.example" }],
    ["headers", { headers: { "Idempotency-Key": "mine" } }],
    ["headers", { headers: { "x-bad": "a\r\nb" } }],
    ["timeoutMs", { timeoutMs: 0 }],
    ["history", { history: 51 }],
    ["context", { context: "all" }],
    ["limits", { limits: { eventsMax: 0 } }],
    ["limits", { limits: { eventMax: 1 } }],
  ])("refuses a bad %s when the agent is made", (named, options) => {
    expect(() => remoteAgent({ name: "R", endpoint: "https://agents.example", ...(options as object) })).toThrow(
      expect.objectContaining({ code: "ORCH_BAD_OPTION", message: expect.stringContaining(named) }),
    );
  });
});
