// Terminal channel
//
// Owns:  whose turn it is to be asked.
//
// T1  Questions are asked one after another.
// T2  Where a person sits, prompts are drawn (terminal-typed.ts); what is piped in is read by lines (terminal-piped.ts).

import type { Channel, UserQuestion } from "./channel.ts";
import { readPrompt } from "./prompts.ts";
import type { Asked } from "./prompt-text.ts";
import { responseAsText } from "./response-text.ts";
import { pipedLines } from "./terminal-piped.ts";
import { typedAnswers } from "./terminal-typed.ts";

type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean };

/** Standard input and error output, or the streams given. Several questions are asked one after another. */
export function terminalChannel({
  input = process.stdin,
  output = process.stderr,
}: { input?: NodeJS.ReadableStream; output?: NodeJS.WritableStream } = {}): Channel {
  const answer = (input as Input).isTTY === true ? typedAnswers(input, output) : pipedLines(input, output);
  let turn: Promise<unknown> = Promise.resolve();
  return {
    name: "terminal",
    ask(question, signal) {
      const answered = turn.then(() => answer(askedOf(question), signal));
      turn = answered.catch(() => undefined);
      return answered;
    },
    tell: (value) => void output.write(`${responseAsText(value)}\n`),
  };
}

function askedOf({ kind, node, prompt }: UserQuestion): Asked {
  return {
    heading: kind === "follow-up" ? "" : `[${node}] `,
    prompt: readPrompt(prompt) ?? { kind: "text", message: responseAsText(prompt) },
  };
}
