import type { Claim, Draft, Note, Review } from "../desk.ts";
import { checkCitation } from "../documents/citations.ts";
import type { Shelf } from "../documents/library.ts";

/** Claims with quotes one part of the question may have. */
const CLAIMS_MAX = 24;

/**
 * Sends a draft back when a claim's citation does not hold, when a candidate or a part of the question is passed over
 * in silence, or when a part runs too long.
 */
export function createReviewer(shelf: Shelf) {
  return async (draft: Draft): Promise<Review> => {
    const library = await shelf.get(draft.dossier.findings.indexed.library);
    const notes = [...forged(draft.claims, (path) => library.lines(path)), ...passedOver(draft), ...tooLong(draft)];
    return { draft, notes, route: notes.length > 0 ? "revise" : "accept" };
  };
}

export function forged(claims: readonly Claim[], lines: (path: string) => readonly string[] | undefined): Note[] {
  return claims.flatMap((claim, i) =>
    claim.citations.flatMap((citation): Note[] => {
      const verdict = checkCitation(citation, lines(citation.path));
      return verdict.ok ? [] : [{ kind: "forged", claim: i, reason: verdict.reason }];
    }),
  );
}

function passedOver({ claims, dossier }: Draft): Note[] {
  const { facets, candidates } = dossier.findings;
  return facets.flatMap((facet): Note[] => {
    const own = claims.filter(({ facetId }) => facetId === facet.id);
    if (own.length === 0) return [{ kind: "unanswered", facetId: facet.id }];
    if (!facet.refersBack) return [];
    const spoken = new Set(own.map(({ subject }) => subject));
    return candidates
      .filter(({ subject }) => !spoken.has(subject))
      .map(({ subject }) => ({ kind: "silent", facetId: facet.id, subject }));
  });
}

function tooLong({ claims, dossier }: Draft): Note[] {
  return dossier.findings.facets.flatMap(({ id, kind }): Note[] => {
    const count = claims.filter(({ facetId, citations }) => facetId === id && citations.length > 0).length;
    return kind === "quote" && count > CLAIMS_MAX
      ? [{ kind: "too_long", facetId: id, claims: count, limit: CLAIMS_MAX }]
      : [];
  });
}
