// Control server
//
// Owns:      the socket on which the process that has a store open is spoken to, and the file that says where.
// Does not:  own the instance or the store: it holds the store open while it listens, and closes neither.
//
// S1  `orchestra.control` stands in the folder only while this process holds it and listens.
// S2  Nothing is done for a connection before it has shown the token.
// S3  A connection that does not read is not read from either, so what waits for it is bounded (REQUESTS_MAX answers).
// S4  It keeps no process alive by itself.

import { timingSafeEqual } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { resolve } from "node:path";

import { systemRandom, type Random } from "../base/random.ts";
import { LevelStorage, OrchestraError, type OrchestraInstance, type StateManager, type StoreLease } from "../index.ts";
import { newSocketPath, readAddress, removeAddress, removeSocket, writeAddress } from "./address.ts";
import { connectControl } from "./client.ts";
import { readLines, writeLine } from "./line-reader.ts";
import { operationsOf, type Operations } from "./operations.ts";
import {
  ANSWER_BYTES_MAX,
  CONNECTIONS_MAX,
  CONTROL_VERSION,
  errorToWire,
  HELLO_MS,
  parseHello,
  parseRequest,
  REQUEST_BYTES_MAX,
  REQUESTS_MAX,
  type Request,
} from "./protocol.ts";

export interface ControlServer extends AsyncDisposable {
  /** Stops listening, ends what is connected and lets go of the store. Idempotent. */
  close(): Promise<void>;
}

/**
 * Lets other processes of this user look at and steer the sessions of `instance`: the command line does, on a store that
 * is open elsewhere. Holds the store open until closed. `stateManager` is the instance's own, on a `LevelStorage`.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` for another storage; `ORCH_CONTROL` when this process serves the folder
 *   already or no socket can be made; `ORCH_STORE_*`.
 */
export async function serveControl(
  instance: OrchestraInstance,
  stateManager: StateManager,
  { random = systemRandom() }: { random?: Random } = {},
): Promise<ControlServer> {
  const { storage } = stateManager;
  if (!(storage instanceof LevelStorage))
    throw new OrchestraError("ORCH_BAD_OPTION", "serveControl: stateManager: expected one on a LevelStorage");
  // What it recovers on its first use, it recovers as the first on this store.
  await instance.listSessions({ limit: 1 });
  const lease = await stateManager.acquire();
  try {
    const listening = await listen(resolve(storage.name), operationsOf(instance, stateManager), random);
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => (closing ??= endOf(listening, lease));
    return { close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await lease.release();
    throw error;
  }
}

async function listen(folder: string, operations: Operations, random: Random): Promise<{ close(): Promise<void> }> {
  await takeOver(folder);
  const word = (): string => Array.from({ length: 4 }, () => Math.floor(random.next() * 2 ** 32).toString(36)).join("");
  const [name, token] = [word(), word()];
  const path = await newSocketPath(name);
  const sockets = new Set<Socket>();
  const greeted = new Set<Socket>();
  const server = createServer((socket) => {
    // Who says nothing holds a place only until HELLO_MS, and holds none of those that have greeted.
    if (sockets.size - greeted.size >= CONNECTIONS_MAX) return refuseNow(socket);
    sockets.add(socket);
    socket.on("close", () => {
      sockets.delete(socket);
      greeted.delete(socket);
    });
    serve(socket, operations, token, () => {
      if (greeted.size >= CONNECTIONS_MAX) throw tooMany();
      greeted.add(socket);
    });
  });
  try {
    await listenAt(server, path);
    await writeAddress(folder, { v: 1, pid: process.pid, path, token });
  } catch (error) {
    server.close();
    await removeSocket(path);
    throw new OrchestraError("ORCH_CONTROL", `no control socket for store ${folder}: ${(error as Error).message}`, {
      cause: error,
      details: { folder, path },
    });
  }
  return {
    async close() {
      await removeAddress(folder);
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      await removeSocket(path);
    },
  };
}

async function endOf(listening: { close(): Promise<void> }, lease: StoreLease): Promise<void> {
  try {
    await listening.close();
  } finally {
    await lease.release();
  }
}

/** S1: a file that is there was left by a process that is gone, unless it is of this very one. */
async function takeOver(folder: string): Promise<void> {
  const address = await readAddress(folder);
  if (address === null) return;
  const other = await connectControl(folder).catch(() => null);
  await other?.close();
  if (other !== null)
    throw new OrchestraError("ORCH_CONTROL", `store ${folder} is served by this process (pid ${other.pid}) already`, {
      details: { folder, pid: other.pid },
    });
  await removeSocket(address.path);
}

function listenAt(server: Server, path: string): Promise<void> {
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      server.on("error", () => undefined);
      resolve();
    });
  });
}

function tooMany(): OrchestraError {
  return new OrchestraError("ORCH_OVERLOADED", `${CONNECTIONS_MAX} connections are open already`);
}

function refuseNow(socket: Socket): void {
  socket.on("error", () => undefined);
  socket.end(lineOfRefusal(tooMany()), () => socket.destroy());
}

function lineOfRefusal(error: unknown): string {
  return `${JSON.stringify({ control: CONTROL_VERSION, error: errorToWire(error) })}\n`;
}

/** `admit` is called when the other side has said who it is; it throws when there is no place. */
function serve(socket: Socket, operations: Operations, token: string, admit: () => void): void {
  const active = new Map<number, AbortController>();
  let greeted = false;
  // What is wrong with a connection shows in its end.
  socket.on("error", () => undefined);
  socket.on("close", () => {
    for (const abort of active.values()) abort.abort();
  });
  socket.setTimeout(HELLO_MS, () => socket.destroy());

  const refuse = (error: unknown): void => {
    socket.end(lineOfRefusal(error));
  };
  const send = async (reply: Reply): Promise<void> => {
    const line = lineOf(reply);
    if (socket.writableNeedDrain) socket.pause();
    await writeLine(socket, line);
    socket.resume();
  };
  const fail = (id: number, error: unknown): void => void send({ id, error: errorToWire(error) });

  const greet = (line: string): void => {
    greeted = true;
    const hello = parseHello(line);
    if (!isSame(hello.token, token)) throw new OrchestraError("ORCH_CONTROL", "the token is not that of this store");
    if (hello.control !== CONTROL_VERSION)
      throw new OrchestraError(
        "ORCH_CONTROL",
        `version ${hello.control} is asked for, version ${CONTROL_VERSION} is spoken`,
      );
    admit();
    socket.setTimeout(0);
    socket.write(`${JSON.stringify({ control: CONTROL_VERSION, pid: process.pid })}\n`);
  };
  const answer = (request: Request): void => {
    const { id } = request;
    if (request.kind === "stop") return active.get(id)?.abort();
    if (active.has(id)) return fail(id, new OrchestraError("ORCH_CONTROL", `request ${id} is under way already`));
    if (active.size >= REQUESTS_MAX)
      return fail(
        id,
        new OrchestraError("ORCH_OVERLOADED", `${REQUESTS_MAX} requests are under way on this connection`),
      );
    const abort = new AbortController();
    active.set(id, abort);
    const work =
      request.kind === "call"
        ? answerCall(operations, request, send)
        : answerStream(operations, request, send, abort.signal);
    void work.catch((error: unknown) => send({ id, error: errorToWire(error) })).finally(() => active.delete(id));
  };

  readLines(
    socket,
    REQUEST_BYTES_MAX,
    (line) => {
      if (!greeted) {
        try {
          greet(line);
        } catch (error) {
          refuse(error);
        }
        return;
      }
      if (socket.writableEnded) return;
      try {
        answer(parseRequest(line));
      } catch (error) {
        const id = error instanceof OrchestraError ? error.details["id"] : undefined;
        if (typeof id === "number") fail(id, error);
        else refuse(error);
      }
    },
    refuse,
  );
}

interface Reply {
  readonly id: number;
  readonly [field: string]: unknown;
}
type Send = (reply: Reply) => Promise<void>;

async function answerCall(operations: Operations, request: Request & { kind: "call" }, send: Send): Promise<void> {
  const call = operations[request.op] as (args: unknown) => Promise<unknown>;
  const value = await call(request.args);
  await send({ id: request.id, value });
}

async function answerStream(
  operations: Operations,
  request: Request & { kind: "stream" },
  send: Send,
  signal: AbortSignal,
): Promise<void> {
  const { id } = request;
  const stream = operations[request.op] as (args: unknown, signal: AbortSignal) => AsyncIterable<unknown>;
  for await (const item of stream(request.args, signal)) {
    if (signal.aborted) break;
    await send({ id, item });
  }
  await send({ id, end: true });
}

function lineOf(reply: Reply): string {
  const line = JSON.stringify(reply);
  if (line.length <= ANSWER_BYTES_MAX) return line;
  const error = new OrchestraError(
    "ORCH_PAYLOAD_TOO_LARGE",
    `an answer of ${line.length} bytes, at most ${ANSWER_BYTES_MAX} go over the control socket`,
  );
  return JSON.stringify({ id: reply.id, error: errorToWire(error) });
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
