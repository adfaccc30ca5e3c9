import { suggest } from "../topology/suggestion.ts";

/** `; did you mean "Writer"?` to end a sentence with, or nothing when no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const suggestion = suggest(word, candidates);
  return suggestion === undefined ? "" : `; ${suggestion}`;
}
