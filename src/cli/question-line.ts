// Question line: an open question as a person reads it.

import type { ResultQuestion } from "../index.ts";

export function questionLine({
  questionId,
  node,
  prompt,
}: Pick<ResultQuestion, "questionId" | "node" | "prompt">): string {
  return `${questionId} (${node}): ${typeof prompt === "string" ? prompt : JSON.stringify(prompt)}`;
}
