import type { AnalystReply, Brief } from "../desk.ts";
import { selfEvidence } from "../documents/evidence.ts";
import type { Shelf } from "../documents/library.ts";

/** What the candidates say of themselves. */
export function createSubjectAnalyst(shelf: Shelf) {
  return async ({ indexed, facets, candidates }: Brief): Promise<AnalystReply> => {
    const library = await shelf.get(indexed.library);
    const selecting = facets.find(({ kind }) => kind === "select");
    return { kind: "self", evidence: selecting === undefined ? [] : selfEvidence(library, selecting, candidates) };
  };
}
