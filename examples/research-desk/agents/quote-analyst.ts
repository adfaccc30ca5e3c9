import type { AnalystReply, Brief } from "../desk.ts";
import { findSentences } from "../documents/evidence.ts";
import type { Shelf } from "../documents/library.ts";

/** What the documents say, in their own words, on every part of the question that asks for it. */
export function createQuoteAnalyst(shelf: Shelf) {
  return async ({ indexed, facets, candidates, breadth }: Brief): Promise<AnalystReply> => {
    const library = await shelf.get(indexed.library);
    const named = new Set(candidates.map(({ subject }) => subject));
    const hasPackages = indexed.packages > 0;
    const asked = facets.filter(({ kind }) => kind === "quote" || (kind === "licence" && !hasPackages));
    const evidence = asked.flatMap((facet) =>
      findSentences(library, facet, breadth, facet.refersBack && named.size > 0 ? named : undefined),
    );
    return { kind: "quotes", evidence };
  };
}
