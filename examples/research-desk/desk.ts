// What the agents of the desk hand each other. Plain data, small: texts stay in the library, quotes travel.

import type { Citation } from "./documents/citations.ts";
import type { Candidate, Evidence, VocabularyTerm } from "./documents/evidence.ts";
import type { LibraryRef } from "./documents/library.ts";
import type { Facet } from "./documents/planning.ts";
import type { LicenceRecord } from "./documents/subjects.ts";

export interface DeskTask extends Record<string, unknown> {
  /** Absolute path of the folder. */
  readonly docs: string;
  /** The folder as the reader of the report knows it; citations start with it. */
  readonly label: string;
  readonly question: string;
}

export interface Collected {
  readonly question: string;
  readonly library: LibraryRef;
  readonly files: number;
  readonly bytes: number;
  readonly skipped: number;
  readonly cut: number;
}

export interface Indexed extends Collected {
  readonly passages: number;
  readonly terms: number;
  readonly subjects: number;
  readonly packages: number;
}

export interface Plan {
  readonly indexed: Indexed;
  readonly facets: readonly Facet[];
  /** Rounds of widening so far. */
  readonly breadth: number;
}

/** What the lead asks of every analyst. */
export interface Brief extends Plan {
  /** Whom the question's "which" picks out, best first; empty when it has none. */
  readonly candidates: readonly Candidate[];
}

export type AnalystReply =
  | { readonly kind: "self"; readonly evidence: readonly Evidence[] }
  | { readonly kind: "quotes"; readonly evidence: readonly Evidence[] }
  | { readonly kind: "licences"; readonly licences: readonly LicenceRecord[] }
  | { readonly kind: "vocabulary"; readonly vocabulary: Readonly<Record<string, readonly VocabularyTerm[]>> };

export interface Findings extends Brief {
  readonly evidence: readonly Evidence[];
  readonly licences: readonly LicenceRecord[];
  readonly vocabulary: Readonly<Record<string, readonly VocabularyTerm[]>>;
  /** Facets without enough evidence. */
  readonly shortOf: readonly string[];
  readonly route: "needs_more" | "enough";
}

export interface Checked {
  readonly kind: "facts";
  readonly evidence: readonly Evidence[];
  readonly licences: readonly LicenceRecord[];
  /** Why a quote was thrown out. */
  readonly refused: readonly string[];
}

export interface FacetFigures {
  readonly facetId: string;
  readonly passages: number;
  readonly documents: number;
  readonly subjects: number;
  /** The terms that carried most, with the passages they stand in. */
  readonly terms: readonly { readonly term: string; readonly passages: number }[];
}

export interface Figures {
  readonly kind: "figures";
  readonly facets: readonly FacetFigures[];
  readonly licences: readonly { readonly licence: string; readonly subjects: number }[];
  readonly findings: Findings;
}

/** Everything a report may say. */
export interface Dossier {
  readonly findings: Omit<Findings, "evidence" | "licences">;
  readonly evidence: readonly Evidence[];
  readonly licences: readonly LicenceRecord[];
  readonly refused: readonly string[];
  readonly figures: Omit<Figures, "kind" | "findings">;
}

export interface Claim {
  readonly facetId: string;
  readonly subject: string;
  /** Empty for what was looked for and not found. */
  readonly citations: readonly Citation[];
  /** What is said besides the quote: a licence name, a gap. */
  readonly text?: string;
}

export interface Draft {
  readonly dossier: Dossier;
  readonly claims: readonly Claim[];
  readonly revision: number;
}

export type Note =
  | { readonly kind: "forged"; readonly claim: number; readonly reason: string }
  | { readonly kind: "silent"; readonly facetId: string; readonly subject: string }
  | { readonly kind: "unanswered"; readonly facetId: string }
  | { readonly kind: "too_long"; readonly facetId: string; readonly claims: number; readonly limit: number };

export interface Review {
  readonly draft: Draft;
  readonly notes: readonly Note[];
  readonly route: "revise" | "accept";
}

export interface Report {
  readonly markdown: string;
  readonly claims: number;
  readonly sources: readonly Citation[];
  readonly subjects: readonly { readonly name: string; readonly licence: string | null }[];
  readonly openNotes: number;
}

/** One arrival at a join, or one reply. */
export interface From<T> {
  readonly from: string;
  readonly value: T;
}
