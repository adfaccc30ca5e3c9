// Citations: a quote, where it stands, and whether it really stands there.

import { bareLine, plainWords } from "./passages.ts";

export interface Citation {
  /** Path inside the folder, with forward slashes. */
  readonly path: string;
  /** Lines from 1, both included. */
  readonly start: number;
  readonly end: number;
  readonly quote: string;
}

export type CitationVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Whether the cited lines contain the quoted words, in that order and without gaps; marks and line breaks aside. */
export function checkCitation(citation: Citation, lines: readonly string[] | undefined): CitationVerdict {
  const place = `${citation.path}:${citation.start}-${citation.end}`;
  if (lines === undefined) return { ok: false, reason: `${place}: no such document` };
  if (citation.start < 1 || citation.end < citation.start || citation.end > lines.length) {
    return { ok: false, reason: `${place}: the document has lines 1 to ${lines.length}` };
  }
  const quote = plainWords(citation.quote);
  if (quote === "") return { ok: false, reason: `${place}: nothing is quoted` };
  const cited = plainWords(
    lines
      .slice(citation.start - 1, citation.end)
      .map(bareLine)
      .join(" "),
  );
  return cited.includes(quote)
    ? { ok: true }
    : { ok: false, reason: `${place}: the cited lines do not say “${quote.slice(0, 60)}”` };
}

export function placeOf({ path, start, end }: Citation): string {
  return start === end ? `${path}:${start}` : `${path}:${start}-${end}`;
}
