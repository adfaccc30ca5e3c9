// N-gram embedder
//
// Vectors without a model and without a download. Texts are near when they share words, or parts of words ("authenticate",
// "authentication"); it knows nothing of meaning: "car" and "automobile" are as far apart as any two words. An embedding model
// does better wherever one is at hand.
//
// Words and their character n-grams are hashed into the dimensions with a sign (Weinberger et al. 2009, "Feature Hashing for Large Scale
// Multitask Learning"). Repeats count by their logarithm. What is searched for is weighted by how rare its words are among the
// entries, what is kept is not: "lnc.ltc" of Salton and Buckley 1988, "Term-weighting approaches in automatic text retrieval". So the vectors of
// entries stay what they are while others come and go.

import { OrchestraError } from "../base/errors.ts";
import { breathe, Pace } from "./pace.ts";
import type { Embedder } from "./ports.ts";
import { countWords } from "./words.ts";

const DIMENSIONS = 384;
const DIMENSIONS_MIN = 64;
const DIMENSIONS_MAX = 4096;
/** Of a text; see Pace. */
const CHARS_PER_US = 4;
const GRAM_CHARS = [3, 4, 5] as const;

/** The default embedder of a memory. `dimensions`: 64 to 4096, default 384. @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function ngramEmbedder({ dimensions = DIMENSIONS }: { readonly dimensions?: number } = {}): Embedder {
  if (!Number.isInteger(dimensions) || dimensions < DIMENSIONS_MIN || dimensions > DIMENSIONS_MAX)
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `ngramEmbedder: dimensions: expected a whole number from ${DIMENSIONS_MIN} to ${DIMENSIONS_MAX}, got ${String(dimensions)}`,
    );
  return {
    name: `orchestra:ngrams-1-${dimensions}`,
    dimensions,
    async embed(texts, { use, rarity }) {
      const weigh = use === "search" && rarity !== undefined ? rarity : () => 1;
      const vectors: Float32Array[] = [];
      const pace = new Pace();
      for (const text of texts) {
        if (pace.isDue(text.length / CHARS_PER_US)) await breathe();
        vectors.push(vectorOf(text, dimensions, weigh));
      }
      return vectors;
    },
  };
}

function vectorOf(text: string, dimensions: number, rarity: (word: string) => number): Float32Array {
  const vector = new Float32Array(dimensions);
  const counts = countWords(text);
  // Signs and symbols only: better found by itself than by nothing.
  if (counts.size === 0 && text.trim() !== "") counts.set(text.trim().slice(0, 64), 1);
  for (const [word, count] of counts) addWord(vector, word, (1 + Math.log(count)) * weightOf(word) * rarity(word));
  return vector;
}

/** Short words are the common ones, in any language (Zipf's law of abbreviation). */
function weightOf(word: string): number {
  return 1 - 1 / (1 + word.length);
}

/** The word, and as much again shared by its parts. */
function addWord(vector: Float32Array, word: string, weight: number): void {
  add(vector, hash(word, 0, word.length, 1), weight);
  const framed = `<${word}>`;
  const grams = GRAM_CHARS.reduce((sum, length) => sum + Math.max(0, framed.length - length + 1), 0);
  const share = weight / Math.sqrt(Math.max(1, grams));
  for (const length of GRAM_CHARS)
    for (let at = 0; at + length <= framed.length; at++) add(vector, hash(framed, at, at + length, length), share);
}

function add(vector: Float32Array, hashed: number, weight: number): void {
  const at = (hashed >>> 1) % vector.length;
  vector[at] = (vector[at] ?? 0) + ((hashed & 1) === 0 ? weight : -weight);
}

// FNV-1a over UTF-16 units, then the finalizer of MurmurHash3: FNV's low bits alone are too alike for short texts.
function hash(text: string, from: number, to: number, seed: number): number {
  let sum = 0x811c9dc5 ^ seed;
  for (let i = from; i < to; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  sum = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b);
  sum = Math.imul(sum ^ (sum >>> 13), 0xc2b2ae35);
  return (sum ^ (sum >>> 16)) >>> 0;
}
