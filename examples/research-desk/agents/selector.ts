import type { Findings } from "../desk.ts";
import { pickDistinct } from "../documents/evidence.ts";

const PER_SUBJECT = 3;
const PER_FACET = 40;

/** Keeps the strongest evidence of each part: no near duplicates, a few of each subject. */
export function createSelector() {
  return (findings: Findings): Findings => ({
    ...findings,
    evidence: findings.facets.flatMap(({ id }) =>
      pickDistinct(
        findings.evidence.filter(({ facetId }) => facetId === id),
        PER_SUBJECT,
      ).slice(0, PER_FACET),
    ),
  });
}
