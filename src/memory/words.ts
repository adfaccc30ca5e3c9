// Words: what a text is made of, for searching by words and for vectors without a model.

/** Most words, of which nothing more need be asked. */
const PLAIN = /^[a-z0-9]+$/;
/** Letters and digits with their marks. */
const RUN = /[\p{L}\p{N}\p{M}]+/gu;
/** `parseHeader` is two words, `HTTPServer` is two. */
const INNER = /(?<=\p{Ll}|\p{N})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u;
/** Scripts written without spaces: their pairs of characters stand for words. */
const UNSPACED =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{M}]+$/u;

/** Longer ones are no words, but keys and hashes: their beginning stands for them. */
const WORD_CHARS_MAX = 64;

/** Words in order, in lower case, with repeats. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const run of text.normalize("NFKC").match(RUN) ?? []) {
    if (PLAIN.test(run)) words.push(run.slice(0, WORD_CHARS_MAX));
    else if (UNSPACED.test(run)) words.push(...pairsOf(run));
    else for (const part of run.split(INNER)) words.push(part.slice(0, WORD_CHARS_MAX).toLowerCase());
  }
  return words;
}

function pairsOf(run: string): string[] {
  const characters = [...run];
  if (characters.length === 1) return characters;
  return characters.slice(1).map((character, i) => `${characters[i]}${character}`);
}

/** How often each word is there. */
export function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
