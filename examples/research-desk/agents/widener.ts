import type { Findings, Plan } from "../desk.ts";
import { widenFacet } from "../documents/planning.ts";

/** Adds the documents' own words to the parts that are short of evidence, and lets the next round look further. */
export function createWidener() {
  return ({ indexed, facets, breadth, shortOf, vocabulary }: Findings): Plan => ({
    indexed,
    facets: facets.map((facet) => (shortOf.includes(facet.id) ? widenFacet(facet, vocabulary[facet.id] ?? []) : facet)),
    breadth: breadth + 1,
  });
}
