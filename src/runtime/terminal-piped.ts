// Piped lines: answers that are not typed at a terminal but come by lines, from a pipe or a file.
//
// Lines are read once and kept, so that several answers may come in one piece; each is shown after its question, as a
// terminal would have shown it typed. A line that is no answer to a prompt with choices says so, and the next is taken.

import { createInterface } from "node:readline/promises";

import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { answerOfLine, choicesOf, messageOf, type Answers, type Asked } from "./prompt-text.ts";

export function pipedLines(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Answers {
  const read = lineReader(input);
  return async (asked, signal) => {
    signal.throwIfAborted();
    output.write(textOf(asked));
    for (;;) {
      let line: string;
      try {
        line = await read(signal);
      } catch (error) {
        output.write("\n");
        throw error;
      }
      output.write(`${line}\n`);
      try {
        return answerOfLine(asked.prompt, line);
      } catch (error) {
        if (!isOrchestraError(error, "ORCH_ANSWER_INVALID")) throw error;
        output.write(`${error.message}\n> `);
      }
    }
  };
}

function textOf({ prompt, heading }: Asked): string {
  const choices = choicesOf(prompt);
  const lines = choices.map(({ label, hint }, i) => `  ${i + 1} ${label}${hint === undefined ? "" : ` (${hint})`}\n`);
  return `${heading}${messageOf(prompt)}\n${lines.join("")}> `;
}

function lineReader(input: NodeJS.ReadableStream): (signal: AbortSignal) => Promise<string> {
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
  return async (signal) => {
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
      return read.shift() ?? "";
    } finally {
      signal.removeEventListener("abort", stop);
      // What nobody waits for is left in the pipe, and keeps no process alive.
      if (!ended) lines.pause();
    }
  };
}

export function inputEnded(): OrchestraError {
  return new OrchestraError("ORCH_CLOSED", "the terminal's input ended before the question was answered");
}
