// Words: how text becomes terms that can be counted and compared.

const WORD = /[\p{L}\p{N}]+(?:['’]\p{L}+)?/gu;
const VOWEL = /[aeiouy]/;

/** Words that carry no topic: articles, pronouns, auxiliaries, question words. */
const STOP_WORDS = new Set(
  (
    "a about above after again against all also am an and any are aren't as at be because been before being below between both but by can can't cannot could did do does doesn't doing don't " +
    "down during each else every few for from further get had has have having he her here hers him his how however i if in into is isn't it it's its itself just let like made make makes many me " +
    "might more most much my no nor not now of off on once one only or other our out over own per same shall she should since so some such than that that's the their them then there these they " +
    "this those through to too under until up upon us use used uses using very via was we were what when where which while who whom whose why will with within without would yes you your"
  ).split(" "),
);

/** Words that say what kind of answer is wanted, not what it is about. */
const FRAME_WORDS = new Set(
  "answer describe explain give list mention name offer promise say show state tell".split(" ").map(stem),
);

export function words(text: string): string[] {
  return text.toLowerCase().match(WORD) ?? [];
}

/** The terms of a text in order: lower case, without stop words and single letters, stemmed. */
export function tokenise(text: string): string[] {
  const out: string[] = [];
  for (const word of words(text)) {
    if (word.length < 2 || STOP_WORDS.has(word)) continue;
    out.push(stem(word));
  }
  return out;
}

export function isFrameTerm(term: string): boolean {
  return FRAME_WORDS.has(term);
}

/**
 * A light English stemmer: plural, -ed, -ing, -ly, -ability and a final e go, British -nce and American -nse meet.
 * It errs on the side of leaving a word alone.
 */
export function stem(word: string): string {
  let out = word.replace(/['’]s?$/, "").replace(/licenc/, "licens");
  if (/\d/.test(out) || out.length < 4) return out;
  out = plural(out);
  out = out
    .replace(/ically$/, "ic")
    .replace(/(?<=..)(?:ability|ibility)$/, "able")
    .replace(/(?<=[a-z]{4})ly$/, "");
  const bare = /^(.{3,}?)(?:ing|ed)$/.exec(out)?.[1];
  if (bare !== undefined && VOWEL.test(bare)) out = bare.replace(/([bdfgmnprt])\1$/, "$1");
  return out.length > 3 ? out.replace(/e$/, "") : out;
}

function plural(word: string): string {
  if (/(?:ss|sh|ch|x|z)es$/.test(word)) return word.slice(0, -2);
  if (/[^aeiou]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  return /[^suai]s$/.test(word) ? word.slice(0, -1) : word;
}

/** How much two lists of terms share, 0 to 1 (Jaccard). */
export function overlap(a: readonly string[], b: readonly string[]): number {
  const left = new Set(a);
  const right = new Set(b);
  if (left.size === 0 && right.size === 0) return 1;
  let shared = 0;
  for (const term of left) if (right.has(term)) shared += 1;
  return shared / (left.size + right.size - shared);
}
