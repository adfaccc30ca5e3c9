// The state that goes round in the cycle scenario: a counter and text that differs from step to step.

import { seededRandom } from "orchestra";

export interface CycleState {
  readonly count: number;
  readonly text: string;
}

/** Texts taken in turn. Letters drawn at random: nothing that Snappy can shorten much, as with the text of a model. */
export function createTexts(bytes: number): (count: number) => string {
  const random = seededRandom(1);
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,";
  const texts = Array.from({ length: bytes === 0 ? 1 : 64 }, () =>
    Array.from({ length: bytes }, () => letters[Math.floor(random.next() * letters.length)]).join(""),
  );
  return (count) => texts[count % texts.length] ?? "";
}
