// Servers that tests call: real ones, on the loopback, gone with the test.

import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { Orchestra, type AgentLike, type OrchestraResult, type RunEvent, type RunOptions } from "../../../src/index.ts";
import { remoteAgent, type RemoteAgentOptions } from "../../../src/agents/index.ts";

export const LOOPBACK = { allow: ["127.0.0.1"] };

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}

/** The address of an HTTP server with this handler. */
export async function httpServer(handler: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listening(createServer(handler))}`;
}

/** The address of a server that treats each connection as a plain socket. */
export async function tcpServer(handle: (socket: Socket) => void): Promise<string> {
  return `http://127.0.0.1:${await listening(createTcpServer(handle))}`;
}

/** A stream with these texts, one write each, then ended. */
export function streaming(...texts: readonly string[]): RequestListener {
  return (request, response) => {
    request.resume();
    stream(response);
    for (const text of texts) response.write(text);
    response.end();
  };
}

export function stream(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
}

export async function bodyOf(request: IncomingMessage): Promise<any> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return JSON.parse(Buffer.concat(pieces).toString("utf8"));
}

export const DONE = 'event: done\ndata: {"final_message":"fine"}\n\n';
const NO_RETRY = { maxAttempts: 1 };

export interface Called {
  readonly result: OrchestraResult;
  readonly chunks: readonly unknown[];
}

/** One run of one remote agent, without retries. */
export function call(
  endpoint: string,
  options: Partial<RemoteAgentOptions> = {},
  run: Partial<RunOptions> = {},
): Promise<Called> {
  return runOf(remoteAgent({ name: "Remote", endpoint, ...LOOPBACK, ...options }), run);
}

/** One run of one agent, without retries. */
export async function runOf(agent: AgentLike, run: Partial<RunOptions> = {}): Promise<Called> {
  const handle = Orchestra.stream({
    topology: { nodes: ["Remote"], edges: [] },
    agents: { Remote: agent },
    task: "otters",
    executionConfig: { retry: { transient: NO_RETRY, timeout: NO_RETRY } },
    ...run,
  });
  const chunks: unknown[] = [];
  for await (const event of handle as AsyncIterable<RunEvent>)
    if (event.type === "step.chunk") chunks.push(event.chunk);
  return { result: await handle.result, chunks };
}
