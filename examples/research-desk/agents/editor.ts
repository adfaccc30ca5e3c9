import { modelAgent, type LanguageModel, type ModelPrice } from "orchestra/agents";
import type { AgentContext, AgentFunction } from "orchestra";

import type { Report } from "../desk.ts";

const INSTRUCTIONS = `You answer a question from a report that was put together from documents. Write three to eight sentences in plain words.
Say only what the report says. End every sentence with the numbers of the sources it rests on, as the report has them: [3] or [3][7].`;

/** A report may be longer than what small models read. */
const REPORT_LENGTH_MAX = 24_000;

/** Puts an answer in plain words above the report. A sentence that names none of its sources is left out, and that is said. */
export function createEditor(model: LanguageModel, price: ModelPrice | undefined): AgentFunction<Report, Report> {
  const writer = modelAgent({
    name: "Editor",
    model,
    instructions: INSTRUCTIONS,
    steering: "never",
    ...(price !== undefined && { price }),
  });
  return async (report: Report, ctx: AgentContext): Promise<Report> => {
    const { question } = ctx.task as { question: string };
    const asked = `Question: ${question}\n\nReport:\n${report.markdown.slice(0, REPORT_LENGTH_MAX)}`;
    const answer = String(await writer.run(asked, ctx));
    return { ...report, markdown: withAnswer(report, answer) };
  };
}

export function withAnswer({ markdown, sources }: Report, answer: string): string {
  const sentences = sentencesOf(answer);
  const kept = sentences.filter((sentence) => restsOn(sentence, sources.length));
  const dropped = sentences.length - kept.length;
  const note = `(${dropped} sentence${dropped === 1 ? "" : "s"} of the model named no source of this report and ${dropped === 1 ? "was" : "were"} left out.)`;
  const [title = "", ...rest] = markdown.split("\n");
  const said = kept.length === 0 ? [] : [kept.join(" "), ""];
  return [title, "", "## In short", "", ...said, ...(dropped === 0 ? [] : [note, ""]), ...rest.slice(1)].join("\n");
}

/** Each with the numbers that follow its full stop. */
function sentencesOf(answer: string): string[] {
  const found = answer.replaceAll(/\s+/g, " ").match(/.+?(?:[.!?](?:\s*\[\d+\])*(?=\s|$)|$)/g) ?? [];
  return found.map((sentence) => sentence.trim()).filter((sentence) => sentence !== "");
}

function restsOn(sentence: string, sources: number): boolean {
  const numbers = [...sentence.matchAll(/\[(\d+)\]/g)].map(([, number]) => Number(number));
  return numbers.length > 0 && numbers.every((number) => number >= 1 && number <= sources);
}
