// Style: colours for what is read on a terminal, and text cut to the width of one.

import { styleText } from "node:util";

import type { Screen } from "./io.ts";

type Colour = "red" | "green" | "yellow" | "cyan" | "dim" | "bold";

export function paint(screen: Pick<Screen, "colours">, colour: Colour, text: string): string {
  // Whether there are colours is decided by the screen, not by the stream `styleText` would look at.
  return screen.colours ? styleText(colour, text, { validateStream: false }) : text;
}

const MARKS: readonly (readonly [RegExp, Colour])[] = [
  [/^\s*(▶)/, "cyan"],
  [/ (✓)/, "green"],
  [/ (✗)/, "red"],
  [/ (↻)/, "yellow"],
  [/^\s*([‖?])/, "yellow"],
  [/^\s*(■ completed)/, "green"],
  [/^\s*(■ \w+)/, "red"],
];

/** A progress line with its mark in colour. */
export function paintMark(screen: Pick<Screen, "colours">, line: string): string {
  if (!screen.colours) return line;
  const found = MARKS.find(([pattern]) => pattern.test(line));
  if (found === undefined) return line;
  const [pattern, colour] = found;
  return line.replace(pattern, (whole, mark: string) => whole.replace(mark, () => paint(screen, colour, mark)));
}

const segmenter = new Intl.Segmenter();
// East Asian wide and full-width letters, and what is drawn as a picture: two columns each.
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}])/u;

/** The text without control characters, cut to so many columns; what was cut ends in `…`. */
export function fit(text: string, columns: number): string {
  // oxlint-disable-next-line no-control-regex
  const letters = [...segmenter.segment(text.replace(/[\u0000-\u001f\u007f-\u009f]/g, " "))].map(
    ({ segment }) => segment,
  );
  const widthOf = (letter: string): number => (WIDE.test(letter) ? 2 : 1);
  const whole = letters.reduce((sum, letter) => sum + widthOf(letter), 0);
  if (whole <= columns) return letters.join("");
  let [kept, width] = ["", 0];
  for (const letter of letters) {
    if (width + widthOf(letter) > columns - 1) break;
    kept += letter;
    width += widthOf(letter);
  }
  return columns > 0 ? `${kept}…` : "";
}
