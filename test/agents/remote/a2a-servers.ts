// Agents that speak A2A, of ours and of another make, on the loopback.

import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { AgentLike } from "../../../src/index.ts";
import { a2aAgent, serveA2a, type A2aAgentOptions, type A2aServingOptions } from "../../../src/agents/index.ts";
import { bodyOf, httpServer, LOOPBACK, stream } from "./servers.ts";

/** An agent served at an address that its card knows; `before` sees each request first. */
export async function served(
  agent: AgentLike,
  options: Partial<A2aServingOptions> = {},
  before: (...args: Parameters<RequestListener>) => boolean = () => false,
) {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const handler = await serveA2a(agent, { name: "Writer", url, ...options });
  server.on("request", (request, response) => {
    if (!before(request, response)) handler(request, response);
  });
  onTestFinished(async () => {
    await handler.close();
    server.closeAllConnections();
    server.close();
  });
  return { url, handler };
}

export const remote = (url: string, options: Partial<A2aAgentOptions> = {}) =>
  a2aAgent({ name: "Remote", url, ...LOOPBACK, ...options });

/** A message as any client of the protocol sends it. */
export const message = (text: string, messageId = text) => ({
  tenant: "",
  message: {
    messageId,
    role: 1,
    parts: [{ content: { $case: "text" as const, value: text }, metadata: undefined, filename: "", mediaType: "" }],
    taskId: "",
    contextId: "",
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  },
  configuration: undefined,
  metadata: undefined,
});

export const CARD = (url: string, more: object = {}) => ({
  name: "Other",
  description: "",
  version: "1",
  supportedInterfaces: [{ url, protocolBinding: "JSONRPC", protocolVersion: "1.0" }],
  capabilities: { streaming: false },
  skills: [],
  defaultInputModes: [],
  defaultOutputModes: [],
  ...more,
});

/**
 * A server of another make, that answers each method with what `answers` says: a list by a stream of events, an `Error` by
 * the code of its name.
 */
export async function foreign(answers: Record<string, (params: any) => unknown>, card: object = {}) {
  const seen: { method: string; headers: Record<string, unknown> }[] = [];
  const url: string = await httpServer((request, response) => {
    if (request.method === "GET") return void response.end(JSON.stringify(CARD(url, card)));
    void bodyOf(request).then(({ id, method, params }) => {
      seen.push({ method, headers: request.headers });
      const say = (result: unknown): string => {
        const said =
          result instanceof Error ? { error: { code: Number(result.name), message: result.message } } : { result };
        return JSON.stringify({ jsonrpc: "2.0", id, ...said });
      };
      const answer = answers[method]?.(params);
      if (!Array.isArray(answer)) return response.setHeader("content-type", "application/json").end(say(answer));
      stream(response);
      for (const event of answer) response.write(`data: ${say(event)}\n\n`);
      return response.end();
    });
  });
  return { url, seen };
}

export const task = (state: string, more: object = {}) => ({
  id: "t1",
  contextId: "c1",
  status: { state: `TASK_STATE_${state}` },
  artifacts: [],
  history: [],
  ...more,
});

/** An event of a stream: a piece of the task's artifact. */
export const piece = (text: string, append = true) => ({
  artifactUpdate: { taskId: "t1", contextId: "c1", artifact: { artifactId: "a", parts: [{ text }] }, append },
});

/** An event of a stream: what becomes of the task. */
export const status = (state: string) => ({
  statusUpdate: { taskId: "t1", contextId: "c1", status: { state: `TASK_STATE_${state}` } },
});
