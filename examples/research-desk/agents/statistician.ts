import type { FacetFigures, Figures, Findings } from "../desk.ts";
import type { Library, Shelf } from "../documents/library.ts";
import { queryOf, type Facet } from "../documents/planning.ts";

/** Counts: how much of the folder speaks of each part, in which words, and how the licences are spread. */
export function createStatistician(shelf: Shelf) {
  return async (findings: Findings): Promise<Figures> => {
    const library = await shelf.get(findings.indexed.library);
    const counts = new Map<string, number>();
    for (const { licence } of findings.licences)
      counts.set(licence ?? "none found", (counts.get(licence ?? "none found") ?? 0) + 1);
    const licences = [...counts].map(([licence, subjects]) => ({ licence, subjects }));
    return {
      kind: "figures",
      facets: findings.facets.map((facet) => countFacet(library, facet)),
      licences: licences.sort((a, b) => b.subjects - a.subjects || (a.licence < b.licence ? -1 : 1)),
      findings,
    };
  };
}

const STRONG_WEIGHT = 0.5;

function countFacet(library: Library, facet: Facet): FacetFigures {
  const strong = new Map([...queryOf(facet)].filter(([, weight]) => weight >= STRONG_WEIGHT));
  const hits = library.index.rank(strong).map(({ item }) => library.passages[item]);
  return {
    facetId: facet.id,
    passages: hits.length,
    documents: new Set(hits.map((passage) => passage?.file.path)).size,
    subjects: new Set(hits.map((passage) => passage?.subject.name)).size,
    terms: [...strong.keys()]
      .map((term) => ({ term, passages: library.index.documentFrequency(term) }))
      .filter(({ passages }) => passages > 0)
      .sort((a, b) => b.passages - a.passages)
      .slice(0, 5),
  };
}
