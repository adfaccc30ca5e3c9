import type { AnalystReply, Brief } from "../desk.ts";
import { vocabularyOf } from "../documents/evidence.ts";
import type { Shelf } from "../documents/library.ts";

/** Which words these documents use where they speak of each part of the question. */
export function createVocabularyAnalyst(shelf: Shelf) {
  return async ({ indexed, facets }: Brief): Promise<AnalystReply> => {
    const library = await shelf.get(indexed.library);
    const searched = facets.filter(({ kind }) => kind !== "licence");
    return {
      kind: "vocabulary",
      vocabulary: Object.fromEntries(searched.map((facet) => [facet.id, vocabularyOf(library, facet)])),
    };
  };
}
