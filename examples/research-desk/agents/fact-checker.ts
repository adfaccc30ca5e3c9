import type { Checked, Findings } from "../desk.ts";
import { checkCitation, type Citation } from "../documents/citations.ts";
import type { Shelf } from "../documents/library.ts";

/** Looks every quote up where it is said to stand, and throws out what does not. */
export function createFactChecker(shelf: Shelf) {
  return async ({ indexed, evidence, licences }: Findings): Promise<Checked> => {
    const library = await shelf.get(indexed.library);
    const refused: string[] = [];
    const holds = (citation: Citation): boolean => {
      const verdict = checkCitation(citation, library.lines(citation.path));
      if (!verdict.ok) refused.push(verdict.reason);
      return verdict.ok;
    };
    return {
      kind: "facts",
      evidence: evidence.filter(holds),
      licences: licences.map((record) => ({ ...record, citations: record.citations.filter(holds) })),
      refused,
    };
  };
}
