// Passages: a document in pieces small enough to cite, each with its lines.

export interface Passage {
  /** Lines from 1, both included. */
  readonly start: number;
  readonly end: number;
  /** Nearest heading above, without its marks; empty at the top. */
  readonly heading: string;
  readonly kind: "prose" | "code" | "table";
  readonly text: string;
}

const LINES_MAX = 12;
const FENCE = /^\s*(?:```|~~~)/;
const HEADING = /^#{1,6}\s+(.*?)\s*#*$/;
const TABLE_ROW = /^\s*\|/;
const LIST_ITEM = /^\s*(?:[-*+]|\d+[.)])\s+/;

/** Splits at blank lines, headings, code fences and list items; no passage is longer than 12 lines. */
export function splitPassages(lines: readonly string[]): Passage[] {
  const out: Passage[] = [];
  let heading = "";
  let fenced = false;
  let open: { start: number; lines: string[]; kind: Passage["kind"] } | undefined;

  const close = (): void => {
    if (open !== undefined && open.lines.some((line) => line.trim() !== "")) {
      const text = open.lines.join("\n");
      out.push({ start: open.start, end: open.start + open.lines.length - 1, heading, kind: open.kind, text });
    }
    open = undefined;
  };
  const add = (line: string, number: number, kind: Passage["kind"]): void => {
    if (open !== undefined && (open.kind !== kind || open.lines.length >= LINES_MAX)) close();
    open ??= { start: number, lines: [], kind };
    open.lines.push(line);
  };

  for (const [i, line] of lines.entries()) {
    const number = i + 1;
    if (FENCE.test(line)) {
      close();
      fenced = !fenced;
      continue;
    }
    if (fenced) {
      add(line, number, "code");
      continue;
    }
    const title = HEADING.exec(line)?.[1];
    if (title !== undefined) {
      close();
      heading = title;
    } else if (line.trim() === "") close();
    else if (TABLE_ROW.test(line)) add(line, number, "table");
    else {
      if (LIST_ITEM.test(line)) close();
      add(line, number, "prose");
    }
  }
  close();
  return out;
}

export interface Sentence {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const SENTENCE_END = /(?<=[.!?:][)"'”*_`]*)\s+(?=["'“(*_`[]*[A-Z0-9])/g;
const QUOTE_LENGTH_MAX = 420;

/** The sentences of a prose passage in plain words (see `plainWords`), each with the lines it stands on. */
export function sentencesOf(passage: Passage): Sentence[] {
  const lines = passage.text.split("\n");
  const joined = lines.map(bareLine).join(" ");
  const lineAt = lineStarts(lines);
  const out: Sentence[] = [];
  let from = 0;
  for (const end of [...[...joined.matchAll(SENTENCE_END)].map((match) => match.index), joined.length]) {
    const raw = joined.slice(from, end);
    const text = shorten(plainWords(raw));
    const lead = raw.length - raw.trimStart().length;
    if (text !== "")
      out.push({ start: passage.start + lineAt(from + lead), end: passage.start + lineAt(end - 1), text });
    from = end;
  }
  return out;
}

/**
 * The words of marked-up text as a reader sees them: links by their text, no emphasis, footnote, code or HTML
 * marks, single blanks. Quotes and the lines they cite are compared in this form.
 */
export function plainWords(text: string): string {
  return text
    .replace(/\[\^[^\]]+\]|\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]/g, "")
    .replace(/!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])/g, " ")
    .replace(/\[((?:[^[\]]|\[[^\]]*\])*)\](?:\((?:[^()]|\([^)]*\))*\)|\[[^\]]*\])/g, "$1")
    .replace(/<\/?[a-z][^>]*>/gi, " ")
    .replace(/\*\*|__|[`*]/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

/** A line without its quotation, list and indentation marks. */
export function bareLine(line: string): string {
  return line.replace(/^\s*(?:>\s*)*/, "").replace(LIST_ITEM, "");
}

function lineStarts(lines: readonly string[]): (offset: number) => number {
  const ends: number[] = [];
  let at = 0;
  for (const line of lines) {
    at += bareLine(line).length + 1;
    ends.push(at);
  }
  return (offset) => {
    const found = ends.findIndex((end) => offset < end);
    return found === -1 ? lines.length - 1 : found;
  };
}

function shorten(text: string): string {
  if (text.length <= QUOTE_LENGTH_MAX) return text;
  return text.slice(0, text.lastIndexOf(" ", QUOTE_LENGTH_MAX));
}
