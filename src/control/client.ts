// Control client: the operations of a store that another process has open.

import { createConnection, type Socket } from "node:net";

import { OrchestraError } from "../index.ts";
import { readAddress } from "./address.ts";
import { readLines } from "./line-reader.ts";
import type { Operations } from "./operations.ts";
import {
  ANSWER_BYTES_MAX,
  CALL_NAMES,
  CONTROL_VERSION,
  errorFromWire,
  HELLO_MS,
  parseAnswer,
  parseWelcome,
  STREAM_NAMES,
  type Answer,
} from "./protocol.ts";

export interface ControlClient extends AsyncDisposable {
  /** Of the process that has the store open. */
  readonly pid: number;
  /**
   * What `serveControl` offers. Each rejects as it would there, and with `ORCH_CONTROL` (`details.gone`) when that
   * process goes away meanwhile.
   */
  readonly operations: Operations;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Items of a stream that wait to be taken; with more the socket is not read. */
const WAITING_MAX = 1_000;

/**
 * The process that has the store in `folder` open and serves it; null when there is none.
 *
 * @throws {OrchestraError} `ORCH_CONTROL` when it refuses, or does not answer within 5 seconds; `ORCH_OVERLOADED`.
 */
export async function connectControl(folder: string): Promise<ControlClient | null> {
  const address = await readAddress(folder);
  if (address === null) return null;
  const socket = createConnection(address.path);
  const connection = new Connection(socket);
  if (!(await connected(socket))) return null;
  const pid = await connection.greet(address.token);
  const close = (): Promise<void> => {
    socket.destroy();
    return Promise.resolve();
  };
  return { pid, operations: connection.operations(), close, [Symbol.asyncDispose]: close };
}

function connected(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  });
}

interface Waiting {
  take(answer: Answer): void;
  fail(error: OrchestraError): void;
}

class Connection {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #welcome: { line(text: string): void; fail(error: OrchestraError): void } | undefined;
  #pid = 0;
  #next = 1;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("close", () => this.#fail(this.#gone()));
    readLines(
      socket,
      ANSWER_BYTES_MAX + 1024,
      (line) => this.#line(line),
      (error) => this.#end(error),
    );
  }

  async greet(token: string): Promise<number> {
    const socket = this.#socket;
    const line = await new Promise<string>((resolve, reject) => {
      this.#welcome = { line: resolve, fail: reject };
      socket.setTimeout(HELLO_MS, () =>
        this.#end(
          new OrchestraError("ORCH_CONTROL", `the process that has the store open is silent for ${HELLO_MS} ms`),
        ),
      );
      socket.write(`${JSON.stringify({ control: CONTROL_VERSION, token })}\n`);
    });
    socket.setTimeout(0);
    const { pid, error } = parseWelcome(line);
    if (error !== undefined) throw errorFromWire(error);
    return (this.#pid = pid ?? 0);
  }

  operations(): Operations {
    const calls = CALL_NAMES.map((op) => [op, (args: unknown) => this.#call(op, args)] as const);
    const streams = STREAM_NAMES.map(
      (op) => [op, (args: unknown, signal: AbortSignal) => this.#stream(op, args, signal)] as const,
    );
    // The names are those of the interface by the type of the tables they come from.
    return Object.fromEntries<unknown>([...calls, ...streams]) as object as Operations;
  }

  async #call(op: string, args: unknown): Promise<unknown> {
    const answer = await new Promise<Answer>((resolve, reject) => this.#ask(op, args, { take: resolve, fail: reject }));
    if ("error" in answer) throw errorFromWire(answer.error);
    return "value" in answer ? answer.value : undefined;
  }

  async *#stream(op: string, args: unknown, signal: AbortSignal): AsyncIterable<unknown> {
    const items: Answer[] = [];
    let failed: OrchestraError | undefined;
    let wake: () => void = () => undefined;
    const id = this.#ask(op, args, {
      take: (answer) => {
        items.push(answer);
        if (items.length > WAITING_MAX) this.#socket.pause();
        wake();
      },
      fail: (error) => {
        failed = error;
        wake();
      },
    });
    const stop = (): void => {
      if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify({ id, stop: true })}\n`);
      wake();
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        const answer = items.shift();
        if (answer === undefined) {
          if (failed !== undefined) throw failed;
          this.#socket.resume();
          await new Promise<void>((resolve) => (wake = resolve));
        } else if ("error" in answer) throw errorFromWire(answer.error);
        else if ("item" in answer) yield answer.item;
        else return;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      // Whoever takes no more has it stopped there too; to be told twice does no harm.
      if (this.#waiting.delete(id)) stop();
      this.#socket.resume();
    }
  }

  #ask(op: string, args: unknown, waiting: Waiting): number {
    const id = this.#next++;
    if (this.#socket.destroyed) {
      waiting.fail(this.#gone());
      return id;
    }
    this.#waiting.set(id, waiting);
    this.#socket.write(`${JSON.stringify({ id, op, args })}\n`);
    return id;
  }

  #line(line: string): void {
    const welcome = this.#welcome;
    if (welcome !== undefined) {
      this.#welcome = undefined;
      return welcome.line(line);
    }
    try {
      const answer = parseAnswer(line);
      const waiting = this.#waiting.get(answer.id);
      if (!("item" in answer)) this.#waiting.delete(answer.id);
      waiting?.take(answer);
    } catch (error) {
      this.#end(error as OrchestraError);
    }
  }

  #end(error: OrchestraError): void {
    this.#fail(error);
    this.#socket.destroy();
  }

  #fail(error: OrchestraError): void {
    this.#welcome?.fail(error);
    this.#welcome = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const one of waiting) one.fail(error);
  }

  #gone(): OrchestraError {
    return new OrchestraError("ORCH_CONTROL", `the process that had the store open (pid ${this.#pid}) went away`, {
      details: { gone: true, pid: this.#pid },
    });
  }
}
