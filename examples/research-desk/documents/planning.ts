// Planning: a question in parts, and each part as weighted terms.

import { isLicenceTerm, synonyms } from "./thesaurus.ts";
import { isFrameTerm, tokenise, words } from "./words.ts";

export interface FacetTerm {
  readonly term: string;
  /** 1 for the question's own words. */
  readonly weight: number;
  readonly from: "question" | "thesaurus" | "documents";
}

export interface Facet {
  readonly id: string;
  /** The words of the question this part is made of. */
  readonly text: string;
  /** `select`: which of the subjects; `licence`: under which terms; `quote`: what do the documents say. */
  readonly kind: "select" | "licence" | "quote";
  /** Asks about what another part selects ("they", "their"). */
  readonly refersBack: boolean;
  readonly terms: readonly FacetTerm[];
}

const QUESTION_START = "what|which|who|whom|whose|when|where|why|how|under|does|do|is|are|can|should|must";
const CLAUSE_END = new RegExp(
  `[?;]\\s*|,\\s*(?:and|or|but)?\\s*(?=(?:${QUESTION_START})\\b)|\\s+(?:and|but)\\s+(?=(?:${QUESTION_START})\\b)`,
  "i",
);
const SELECTS =
  /^(?:which|who|what)\b(?!\s+(?:do|does|did|is|are|was|were|can|will|would|should|must|has|have|happens?)\b)/i;
const REFERS_BACK = /\b(?:they|them|their|its|it|these|those)\b/i;
const SYNONYM_WEIGHT = 0.6;
/** Words that stand in nearly every document of any kind, and verbs of a hundred uses: alone they select nothing. */
const WEAK_WEIGHT = 0.25;
const WEAK = new Set(
  tokenise(
    "data file thing value document package dependency dependencies library installed way kind part keep move hold carry give take work need want handle",
  ),
);

/**
 * The parts of a question, in its order. One whose words are all too general for a search is dropped, unless no other
 * would be left. `isKnown` says whether a term occurs in the documents at all.
 */
export function planFacets(question: string, isKnown: (term: string) => boolean): Facet[] {
  const clauses = question
    .split(CLAUSE_END)
    .map((clause) => clause.trim())
    .filter((clause) => clause !== "");
  const parts = clauses.map((clause) => ({ clause, own: topicTerms(clause) })).filter(({ own }) => own.length > 0);
  const usable = parts.length > 0 ? parts : [{ clause: question.trim(), own: [...new Set(tokenise(question))] }];
  const facets = usable.map(({ clause, own }, i) => makeFacet(`f${i + 1}`, clause, own, isKnown));
  // "They" needs someone to stand for.
  const selects = facets.some((facet) => facet.kind === "select");
  return facets.map((facet) => (facet.refersBack && !selects ? { ...facet, refersBack: false } : facet));
}

/** A facet as a query: the best weight of each term. */
export function queryOf(facet: Facet): Map<string, number> {
  const query = new Map<string, number>();
  for (const { term, weight } of facet.terms) query.set(term, Math.max(weight, query.get(term) ?? 0));
  return query;
}

/** The facet with terms of the documents added, unless it has them already. */
export function widenFacet(facet: Facet, added: readonly { readonly term: string; readonly weight: number }[]): Facet {
  const known = new Set(facet.terms.map(({ term }) => term));
  const fresh = added
    .filter(({ term }) => !known.has(term))
    .map(({ term, weight }) => ({ term, weight, from: "documents" as const }));
  return { ...facet, terms: [...facet.terms, ...fresh] };
}

function topicTerms(clause: string): string[] {
  return [...new Set(tokenise(clause))].filter((term) => !isFrameTerm(term));
}

function makeFacet(id: string, clause: string, own: readonly string[], isKnown: (term: string) => boolean): Facet {
  const licence = own.some(isLicenceTerm);
  const kind = licence ? "licence" : SELECTS.test(clause) && words(clause).length > 2 ? "select" : "quote";
  const terms: FacetTerm[] = own.map((term) => ({
    term,
    weight: WEAK.has(term) ? WEAK_WEIGHT : 1,
    from: "question" as const,
  }));
  const seen = new Set(own);
  for (const term of own.flatMap(synonyms)) {
    if (seen.has(term) || !isKnown(term)) continue;
    seen.add(term);
    terms.push({ term, weight: SYNONYM_WEIGHT, from: "thesaurus" });
  }
  return { id, text: clause, kind, refersBack: kind === "licence" || REFERS_BACK.test(clause), terms };
}
