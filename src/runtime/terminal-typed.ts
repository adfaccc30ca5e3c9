// Typed answers: prompts drawn for a person at a terminal.
//
// A1  Ctrl-C at a question goes to the program, since a terminal in raw mode sends no signal by itself. Where nobody
//     listens for it, it does not end the process: the question is left open, as one that a channel could not carry.
// A2  Esc takes nothing back: the question is asked again.

import type { Readable, Writable } from "node:stream";

import { OrchestraError } from "../base/errors.ts";
import { choicesOf, messageOf, type Answers, type Asked } from "./prompt-text.ts";
import { inputEnded } from "./terminal-piped.ts";

type Prompts = typeof import("@clack/prompts");
type Left = "escape" | "interrupt" | "end";

export function typedAnswers(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Answers {
  return async (asked, signal) => {
    const prompts = await import("@clack/prompts");
    for (;;) {
      signal.throwIfAborted();
      const { answer, left } = await askOnce(prompts, asked, { input, output, signal });
      if (!prompts.isCancel(answer)) return answer;
      signal.throwIfAborted();
      if (left === "end") throw inputEnded();
      if (left === "interrupt") await interrupted(signal);
    }
  };
}

interface Ports {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  readonly signal: AbortSignal;
}

async function askOnce(prompts: Prompts, asked: Asked, { input, output, signal }: Ports) {
  let left: Left | undefined;
  const gone = new AbortController();
  const leave = (how: Left): void => {
    left = how;
    gone.abort();
  };
  const onKey = (_text: string | undefined, key: { name?: string; ctrl?: boolean }): void => {
    if (key.name === "escape") left = "escape";
    if (key.ctrl === true && key.name === "c") left = "interrupt";
    if (key.ctrl === true && key.name === "d") leave("end");
  };
  const onEnd = (): void => leave("end");
  input.on("keypress", onKey).once("end", onEnd).once("close", onEnd);
  try {
    const streams = { input: input as Readable, output: output as Writable };
    const answer = await draw(prompts, asked, { ...streams, signal: AbortSignal.any([signal, gone.signal]) });
    return { answer, left };
  } finally {
    input.off("keypress", onKey).off("end", onEnd).off("close", onEnd);
  }
}

function draw(
  prompts: Prompts,
  { prompt, heading }: Asked,
  at: { readonly input: Readable; readonly output: Writable; readonly signal: AbortSignal },
): Promise<unknown> {
  const message = `${heading}${messageOf(prompt)}`;
  if (prompt.kind === "text") {
    const placeholder = prompt.placeholder === undefined ? {} : { placeholder: prompt.placeholder };
    return prompts.text({ message, ...placeholder, ...at }).then((text) => text ?? "");
  }
  if (prompt.kind === "confirm") return prompts.confirm({ message, ...at });
  const options = choicesOf(prompt).map((choice) => ({ ...choice }));
  return prompts.select<unknown>({ message, options, ...at });
}

/** A1. Whoever listens stops the run, which aborts `signal`. */
async function interrupted(signal: AbortSignal): Promise<never> {
  if (!process.emit("SIGINT")) throw new OrchestraError("ORCH_CANCELLED", "the question was left by Ctrl-C");
  signal.throwIfAborted();
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  throw signal.reason;
}
