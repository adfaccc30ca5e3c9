// Prompt text: a prompt as a person reads it on a terminal.

import { readAnswer, RECOVERY_ACTIONS, type PlainChoice, type PlainPrompt } from "./prompts.ts";
import { responseAsText } from "./response-text.ts";

/** What is asked on a terminal: a prompt, and whose it is. A question without a form of its own is free text. */
export interface Asked {
  readonly prompt: PlainPrompt;
  /** `[node] `, or nothing for a follow-up. */
  readonly heading: string;
}

/** How an answer is got. It rejects with `ORCH_CLOSED` when the input ends before. */
export type Answers = (asked: Asked, signal: AbortSignal) => Promise<unknown>;

/** What is asked, without the choices. */
export function messageOf(prompt: PlainPrompt): string {
  switch (prompt.kind) {
    case "approval": {
      const input = responseAsText(prompt.input);
      return `${prompt.message ?? `May the tool "${prompt.tool}" run?`}${input === "" ? "" : `\n${input}`}`;
    }
    case "recovery":
      return prompt.message ?? `${prompt.node} failed: ${prompt.error.message} (${prompt.error.code})`;
    default:
      return prompt.message;
  }
}

/** What there is to choose from; none for free text. The values are answers that fit. */
export function choicesOf(prompt: PlainPrompt): readonly PlainChoice[] {
  switch (prompt.kind) {
    case "choice":
      return prompt.choices;
    case "confirm":
      return [
        { value: true, label: "yes" },
        { value: false, label: "no" },
      ];
    case "approval":
      return [
        { value: true, label: "allow" },
        { value: false, label: "refuse" },
      ];
    case "recovery":
      return RECOVERY_ACTIONS.map((value) => ({ value, label: value, hint: RECOVERY_HINTS[value] }));
    case "text":
      return [];
  }
}

const RECOVERY_HINTS = {
  retry: "try the step again",
  skip: "go on without it",
  abort: "let the failure stand",
} as const;

/** A line as an answer: the number of a choice, its label, or what else `readAnswer` takes. */
export function answerOfLine(prompt: PlainPrompt, line: string): unknown {
  const choices = choicesOf(prompt);
  const word = line.trim();
  const numbered = /^\d+$/.test(word) ? choices[Number(word) - 1] : undefined;
  const labelled = choices.find(({ label }) => label === word);
  return readAnswer(prompt, (labelled ?? numbered)?.value ?? line);
}
