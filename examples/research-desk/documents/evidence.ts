// Evidence: which subjects a question is about, and the sentences that answer it.

import { posix } from "node:path";

import type { Citation } from "./citations.ts";
import type { IndexedSentence, Library } from "./library.ts";
import { plainWords } from "./passages.ts";
import { queryOf, type Facet } from "./planning.ts";
import { TermIndex } from "./ranking.ts";
import type { Subject } from "./subjects.ts";
import { overlap, tokenise } from "./words.ts";

export interface Candidate {
  readonly subject: string;
  readonly version?: string;
  readonly score: number;
  /** The facet's terms its self-description has, heaviest first. */
  readonly because: readonly string[];
}

export interface Evidence extends Citation {
  readonly facetId: string;
  readonly subject: string;
  readonly score: number;
}

/** Search width per round of widening: later rounds look at more and ask for less. */
const BREADTHS = [
  { passages: 60, perSubject: 3, scoreMin: 0.5 },
  { passages: 150, perSubject: 4, scoreMin: 0.35 },
  { passages: 400, perSubject: 4, scoreMin: 0.25 },
] as const;
const CANDIDATES_MAX = 16;
/** Share of the best candidate's score that makes a candidate. */
const CANDIDATE_SHARE = 0.25;
const OPENING_LINES = 60;
const SELF_SENTENCES = 4;
const HITS_COUNTED = 2;
const STRONG_WEIGHT = 0.5;
const NEAR_DUPLICATE = 0.7;
const SENTENCE_TERMS_MIN = 3;
const LONG_SENTENCE_TERMS = 20;
const COMMITTING_BONUS = 1.25;
/** What a changelog says was true once. */
const HISTORY_SHARE = 0.6;
/** Words by which an author commits to something. */
const COMMITTING =
  /\b(?:guarante\w*|ensure\w*|always|never|must|will|not|cannot|only|until|either|safe\w*|may be lost|default\w*)\b/i;

interface SelfDescription {
  readonly subject: Subject;
  readonly strong: readonly string[];
  readonly weak: readonly string[];
  readonly opening: readonly IndexedSentence[];
}

/**
 * The subjects a facet selects, best first: those that say of themselves, in description, keywords or first
 * sentences, what the facet asks for. What their documents mention in passing does not count.
 */
export function selectSubjects(library: Library, facet: Facet): Candidate[] {
  const query = queryOf(facet);
  const described = library.subjects.map((subject) => describeSubject(library, subject, query));
  const index = new TermIndex(described.map(({ strong, weak }) => [...strong, ...weak]));
  const found: (Candidate & { readonly strong: boolean })[] = [];
  for (const { subject, strong, weak } of described) {
    const hits = [...query]
      .map(([term, weight]) => ({
        term,
        weight,
        part: weight * index.idf(term) * (strong.includes(term) ? 2 : weak.includes(term) ? 1 : 0),
      }))
      .filter(({ part }) => part > 0)
      .sort((a, b) => b.part - a.part);
    // A long list of keywords is no better an answer than one word that fits: the best few count.
    const score = hits.slice(0, HITS_COUNTED).reduce((sum, { part }) => sum + part, 0);
    if (score === 0) continue;
    const because = hits.filter(({ weight }) => weight >= STRONG_WEIGHT).map(({ term }) => term);
    const version = subject.version === undefined ? {} : { version: subject.version };
    found.push({ subject: subject.name, ...version, score, because, strong: because.length > 0 });
  }
  const usable = found.some(({ strong }) => strong) ? found.filter(({ strong }) => strong) : found;
  usable.sort((a, b) => b.score - a.score || (a.subject < b.subject ? -1 : 1));
  const best = usable[0]?.score ?? 0;
  const named = new Set<string>();
  return usable
    .filter(({ subject, score }) => score >= best * CANDIDATE_SHARE && !named.has(subject) && named.add(subject))
    .slice(0, CANDIDATES_MAX)
    .map(({ strong: _, ...candidate }) => candidate);
}

/** What the candidates say of themselves: their description, or the first of their opening sentences that fits. */
export function selfEvidence(library: Library, facet: Facet, candidates: readonly Candidate[]): Evidence[] {
  const query = queryOf(facet);
  const out: Evidence[] = [];
  for (const { subject: name, score } of candidates) {
    const subject = library.subjects.find((one) => one.name === name);
    if (subject === undefined) continue;
    const { opening } = describeSubject(library, subject, query);
    const strength = (terms: readonly string[]): number =>
      new Set(terms).size === 0 ? 0 : [...new Set(terms)].reduce((sum, term) => sum + (query.get(term) ?? 0), 0);
    const sentence = [...opening].sort((a, b) => strength(b.terms) - strength(a.terms))[0];
    const { description } = subject;
    const citation =
      description ??
      (sentence === undefined
        ? undefined
        : { path: sentence.path, start: sentence.start, end: sentence.end, quote: sentence.text });
    if (citation !== undefined) out.push({ ...citation, facetId: facet.id, subject: name, score });
    const says = description === undefined ? 0 : strength(tokenise(description.quote));
    if (
      description !== undefined &&
      says < STRONG_WEIGHT &&
      sentence !== undefined &&
      strength(sentence.terms) >= STRONG_WEIGHT
    ) {
      out.push({
        path: sentence.path,
        start: sentence.start,
        end: sentence.end,
        quote: sentence.text,
        facetId: facet.id,
        subject: name,
        score,
      });
    }
  }
  return out;
}

/**
 * Sentences that answer a facet, best first: from the best passages, of the subjects in `among` where given. Scored
 * by the weights and rarity of the terms in them; a sentence that commits to something counts more.
 */
export function findSentences(
  library: Library,
  facet: Facet,
  breadth: number,
  among?: ReadonlySet<string>,
): Evidence[] {
  const width = BREADTHS[Math.min(breadth, BREADTHS.length - 1)] ?? BREADTHS[0];
  const query = queryOf(facet);
  const rarest = Math.max(...[...query].map(([term, weight]) => weight * library.index.idf(term)), 0.01);
  const found: Evidence[] = [];
  let looked = 0;
  for (const { item } of library.index.rank(query)) {
    const passage = library.passages[item];
    if (passage === undefined || (among !== undefined && !among.has(passage.subject.name))) continue;
    if (isLegalText(passage.file.path) && facet.kind !== "licence") continue;
    looked += 1;
    if (looked > width.passages) break;
    for (const sentence of library.sentences(item)) {
      const score =
        (scoreSentence(library, query, sentence) / rarest) * (isHistory(passage.file.path) ? HISTORY_SHARE : 1);
      if (score < width.scoreMin) continue;
      const { path, start, end, text } = sentence;
      found.push({
        path,
        start,
        end,
        quote: text,
        facetId: facet.id,
        subject: passage.subject.name,
        score: Math.round(score * 1000) / 1000,
      });
    }
  }
  return pickDistinct(found, width.perSubject);
}

/** The best of each subject, at most `perSubject`, without those that say nearly the same in nearly the same words. */
export function pickDistinct(found: readonly Evidence[], perSubject: number): Evidence[] {
  const ordered = [...found].sort(
    (a, b) => b.score - a.score || (a.path < b.path ? -1 : a.path > b.path ? 1 : a.start - b.start),
  );
  const kept: { evidence: Evidence; terms: string[] }[] = [];
  const counts = new Map<string, number>();
  for (const evidence of ordered) {
    const count = counts.get(evidence.subject) ?? 0;
    if (count >= perSubject) continue;
    const terms = tokenise(evidence.quote);
    if (kept.some((one) => overlap(one.terms, terms) >= NEAR_DUPLICATE)) continue;
    kept.push({ evidence, terms });
    counts.set(evidence.subject, count + 1);
  }
  return kept.map(({ evidence }) => evidence);
}

export interface VocabularyTerm {
  readonly term: string;
  readonly weight: number;
}

/**
 * Terms the documents themselves use where they speak of the facet: frequent in its best passages, rare elsewhere
 * (log-likelihood ratio; Dunning 1993), and shared by two subjects at least. At most eight.
 */
export function vocabularyOf(library: Library, facet: Facet): VocabularyTerm[] {
  const query = queryOf(facet);
  const near = library.index
    .rank(query)
    .map(({ item }) => library.passages[item])
    .filter((passage) => passage !== undefined && passage.kind === "prose" && !isLegalText(passage.file.path))
    .slice(0, 40);
  const counts = new Map<string, number>();
  const users = new Map<string, Set<Subject>>();
  for (const passage of near) {
    if (passage === undefined) continue;
    for (const term of new Set(tokenise(plainWords(passage.text)))) {
      counts.set(term, (counts.get(term) ?? 0) + 1);
      users.set(term, (users.get(term) ?? new Set()).add(passage.subject));
    }
  }
  const scored = [...counts]
    .filter(
      ([term, count]) =>
        count >= 3 &&
        (users.get(term)?.size ?? 0) >= 2 &&
        !query.has(term) &&
        !/\d/.test(term) &&
        library.index.documentFrequency(term) <= library.index.size / 20,
    )
    .map(([term, count]) => ({
      term,
      score: likelihoodRatio(count, near.length, library.index.documentFrequency(term), library.index.size),
    }))
    .sort((a, b) => b.score - a.score || (a.term < b.term ? -1 : 1));
  const best = scored[0]?.score ?? 1;
  return scored.slice(0, 8).map(({ term, score }) => ({ term, weight: Math.round(20 * (score / best)) / 100 }));
}

function likelihoodRatio(k1: number, n1: number, k2: number, n2: number): number {
  const p = (k1 + k2) / (n1 + n2);
  const part = (k: number, n: number, q: number): number =>
    k * Math.log(Math.max(q, 1e-9)) + (n - k) * Math.log(Math.max(1 - q, 1e-9));
  return 2 * (part(k1, n1, k1 / n1) + part(k2, n2, Math.min(1, k2 / n2)) - part(k1, n1, p) - part(k2, n2, p));
}

// A package describes itself; a document is its sentences, the best of which stand for it.
function describeSubject(library: Library, subject: Subject, query: ReadonlyMap<string, number>): SelfDescription {
  const description = subject.description === undefined ? [] : tokenise(subject.description.quote);
  const opening = subject.isPackage ? openingOf(library, subject) : bestSentences(library, subject, query);
  return {
    subject,
    strong: [...description, ...subject.keywords.flatMap((word) => tokenise(word))],
    weak: [...tokenise(subject.name), ...opening.flatMap(({ terms }) => terms)],
    opening,
  };
}

function openingOf(library: Library, subject: Subject): IndexedSentence[] {
  const out: IndexedSentence[] = [];
  for (const item of library.itemsOf(subject)) {
    const passage = library.passages[item];
    if (passage === undefined || passage.start > OPENING_LINES || !isReadmeOf(subject, passage.file.path)) continue;
    for (const sentence of library.sentences(item)) {
      if (out.length < SELF_SENTENCES && isSentence(sentence)) out.push(sentence);
    }
  }
  return out;
}

function bestSentences(library: Library, subject: Subject, query: ReadonlyMap<string, number>): IndexedSentence[] {
  return library
    .itemsOf(subject)
    .flatMap((item) => library.sentences(item))
    .map((sentence) => ({ sentence, score: scoreSentence(library, query, sentence) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.sentence.start - b.sentence.start)
    .slice(0, SELF_SENTENCES)
    .map(({ sentence }) => sentence);
}

function scoreSentence(library: Library, query: ReadonlyMap<string, number>, sentence: IndexedSentence): number {
  if (!isSentence(sentence)) return 0;
  let score = 0;
  let strongest = 0;
  for (const term of new Set(sentence.terms)) {
    const weight = query.get(term) ?? 0;
    score += weight * library.index.idf(term);
    strongest = Math.max(strongest, weight);
  }
  if (strongest < STRONG_WEIGHT) return 0;
  // A long sentence has more words to hit with.
  const length = Math.sqrt(Math.max(1, sentence.terms.length / LONG_SENTENCE_TERMS));
  return (score / length) * (COMMITTING.test(sentence.text) ? COMMITTING_BONUS : 1);
}

// Tables, badges, bare links and headings in disguise say nothing that can be quoted.
function isSentence({ text, terms }: IndexedSentence): boolean {
  if (terms.length < SENTENCE_TERMS_MIN || text.startsWith("|") || /^\[.*\]:/.test(text)) return false;
  const links = text.match(/https?:\/\/\S+/g)?.join("").length ?? 0;
  return links < text.length / 3;
}

function isReadmeOf(subject: Subject, path: string): boolean {
  return (
    posix.dirname(path) === (subject.folder === "" ? "." : subject.folder) && /^readme/i.test(posix.basename(path))
  );
}

function isHistory(path: string): boolean {
  return /^(?:changelog|changes|history)/i.test(posix.basename(path));
}

function isLegalText(path: string): boolean {
  return /^(?:licen[cs]e|copying|notice|third-?party)/i.test(posix.basename(path));
}
