// Response text: what a person is shown of a final response.

import { toJsonValue } from "./result-json.ts";

const REPORT_KEYS = new Set(["title", "summary", "sections", "conclusion", "references"]);

/**
 * A string as it is; null and undefined as ""; a report `{ title, summary, sections: [{ heading, content }], conclusion,
 * references }` (any of them, nothing else) as Markdown; everything else as indented JSON, so that nothing is left out.
 */
export function responseAsText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  if (isReport(value)) return reportAsMarkdown(value);
  return JSON.stringify(toJsonValue(value), null, 2);
}

interface Section {
  readonly heading?: string;
  readonly content?: unknown;
}
interface Report {
  readonly title?: string;
  readonly summary?: string;
  readonly sections?: readonly Section[];
  readonly conclusion?: string;
  readonly references?: readonly unknown[];
}

function isReport(value: object): value is Report {
  const keys = Object.keys(value);
  if (keys.length === 0 || !keys.every((key) => REPORT_KEYS.has(key))) return false;
  const { title, summary, sections, conclusion, references }: Record<string, unknown> = { ...value };
  const texts = [title, summary, conclusion].every(
    (part) => part === undefined || part === null || typeof part === "string",
  );
  // A lone summary or conclusion is more likely data than a report.
  const shaped = title !== undefined || sections !== undefined;
  return (
    texts &&
    shaped &&
    isSections(sections) &&
    (references === undefined || references === null || Array.isArray(references))
  );
}

function isSections(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return (
    Array.isArray(value) &&
    value.every((item) => typeof item === "object" && item !== null && ("heading" in item || "content" in item))
  );
}

function reportAsMarkdown(report: Report): string {
  const blocks: string[] = [];
  if (report.title) blocks.push(`# ${report.title}`);
  if (report.summary) blocks.push(report.summary);
  for (const { heading, content } of report.sections ?? []) {
    if (heading) blocks.push(`## ${heading}`);
    const text = responseAsText(content);
    if (text !== "") blocks.push(text);
  }
  if (report.conclusion) blocks.push("## Conclusion", report.conclusion);
  const references = report.references ?? [];
  if (references.length > 0)
    blocks.push(
      "## References",
      references
        .map((item) => `- ${typeof item === "object" ? JSON.stringify(toJsonValue(item)) : String(item)}`)
        .join("\n"),
    );
  return blocks.join("\n\n");
}
