// Question line: an open question as a person reads it.

import type { ResultQuestion } from "../index.ts";

export function questionLine({
  questionId,
  node,
  prompt,
}: Pick<ResultQuestion, "questionId" | "node" | "prompt">): string {
  const text = typeof prompt === "string" ? prompt : (JSON.stringify(prompt) ?? "");
  return `${questionId} (${node}): ${text.length <= PROMPT_LENGTH_MAX ? text : `${text.slice(0, PROMPT_LENGTH_MAX - 1)}…`}`;
}

/** Of more, `--json` has the whole, and so has whoever is asked. */
const PROMPT_LENGTH_MAX = 500;
