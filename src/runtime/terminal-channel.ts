// Terminal channel
//
// Owns:      the lines a person types, or that are piped in, from the first question on.
//
// T1  Questions are asked one after another.
// T2  Piped lines are read once and kept, so that several answers may come in one piece; each is shown after its
//     question, as a terminal would have shown it typed.
// T3  Ctrl-C at a question is Ctrl-C to the program: a terminal in raw mode sends no signal by itself.

import { createInterface } from "node:readline/promises";

import { OrchestraError } from "../base/errors.ts";
import type { Channel, UserQuestion } from "./channel.ts";
import { responseAsText } from "./response-text.ts";

type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean };

/** Standard input and output, or the streams given. Several questions are asked one after another. */
export function terminalChannel({
  input = process.stdin,
  output = process.stderr,
}: { input?: NodeJS.ReadableStream; output?: NodeJS.WritableStream } = {}): Channel {
  const read = (input as Input).isTTY === true ? typedLines(input, output) : pipedLines(input, output);
  let turn: Promise<unknown> = Promise.resolve();
  return {
    name: "terminal",
    ask(question, signal) {
      const answer = turn.then(() => read(promptOf(question), signal));
      turn = answer.catch(() => undefined);
      return answer;
    },
    tell: (value) => void output.write(`${responseAsText(value)}\n`),
  };
}

type ReadLine = (prompt: string, signal: AbortSignal) => Promise<string>;

function promptOf({ kind, node, prompt }: UserQuestion): string {
  return `${kind === "follow-up" ? "" : `[${node}] `}${responseAsText(prompt)}\n> `;
}

function typedLines(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): ReadLine {
  return async (prompt, signal) => {
    signal.throwIfAborted();
    const lines = createInterface({ input, output });
    lines.on("SIGINT", () => {
      output.write("\n");
      // T3: to who listens, else to the system, which ends the process.
      if (!process.emit("SIGINT")) process.kill(process.pid, "SIGINT");
    });
    const closed = new Promise<never>((_resolve, reject) => lines.once("close", () => reject(inputEnded())));
    try {
      return await Promise.race([lines.question(prompt, { signal }), closed]);
    } finally {
      lines.close();
    }
  };
}

function pipedLines(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): ReadLine {
  const read: string[] = [];
  let ended = false;
  let wake: () => void = () => undefined;
  let lines: ReturnType<typeof createInterface> | undefined;
  const open = (): ReturnType<typeof createInterface> =>
    createInterface({ input, terminal: false })
      .on("line", (line) => {
        read.push(line);
        wake();
      })
      .on("close", () => {
        ended = true;
        wake();
      });
  return async (prompt, signal) => {
    signal.throwIfAborted();
    output.write(prompt);
    const stop = (): void => wake();
    signal.addEventListener("abort", stop);
    lines ??= open();
    try {
      while (read.length === 0) {
        signal.throwIfAborted();
        // Without this a question to a closed input would wait for ever.
        if (ended) throw inputEnded();
        lines.resume();
        await new Promise<void>((resolve) => (wake = resolve));
      }
      const line = read.shift() ?? "";
      output.write(`${line}\n`);
      return line;
    } catch (error) {
      output.write("\n");
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
      // What nobody waits for is left in the pipe, and keeps no process alive.
      if (!ended) lines.pause();
    }
  };
}

function inputEnded(): OrchestraError {
  return new OrchestraError("ORCH_CLOSED", "the terminal's input ended before the question was answered");
}
