import type { Claim, Dossier, Draft, Note, Review } from "../desk.ts";

/** Writes down what the dossier supports; a second time, as the reviewer's notes ask. */
export function createAuthor() {
  return (input: Dossier | Review): Draft => {
    if (!("notes" in input)) return { dossier: input, claims: firstClaims(input), revision: 0 };
    const { draft, notes } = input;
    return { dossier: draft.dossier, claims: revise(draft, notes), revision: draft.revision + 1 };
  };
}

function firstClaims({ evidence, licences, findings }: Dossier): Claim[] {
  return findings.facets.flatMap((facet): Claim[] => {
    const quoted = evidence
      .filter(({ facetId }) => facetId === facet.id)
      .map(({ path, start, end, quote, subject }) => ({
        facetId: facet.id,
        subject,
        citations: [{ path, start, end, quote }],
      }));
    if (facet.kind !== "licence") return quoted;
    const stated = licences
      .filter(({ licence, citations }) => licence !== null && citations.length > 0)
      .map(({ subject, licence, citations, conflict }) => ({
        facetId: facet.id,
        subject,
        citations,
        text: conflict === undefined ? `${licence}` : `${licence} (${conflict})`,
      }));
    return [...stated, ...quoted];
  });
}

function revise({ claims, dossier }: Draft, notes: readonly Note[]): Claim[] {
  const forged = new Set(notes.flatMap((note) => (note.kind === "forged" ? [note.claim] : [])));
  let out = claims.filter((_, i) => !forged.has(i));
  for (const note of notes) {
    if (note.kind === "silent")
      out.push({ facetId: note.facetId, subject: note.subject, citations: [], text: "nothing found in its documents" });
    if (note.kind === "unanswered")
      out.push({
        facetId: note.facetId,
        subject: "",
        citations: [],
        text: "the documents give no answer to this part",
      });
    if (note.kind === "too_long") {
      // Claims of a part stand best first, so the last ones go.
      const own = out.filter(({ facetId, citations }) => facetId === note.facetId && citations.length > 0);
      const dropped = new Set(own.slice(note.limit));
      out = out.filter((claim) => !dropped.has(claim));
    }
  }
  const order = dossier.findings.facets.map(({ id }) => id);
  return out.sort((a, b) => order.indexOf(a.facetId) - order.indexOf(b.facetId));
}
