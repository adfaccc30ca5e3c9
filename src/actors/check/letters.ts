/** The first code unit that is a letter: those before are for what stands between letters. */
const FIRST = 0x30;
const LAST = 0xffff;

/** Texts as letters of an alphabet that grows with them: one code unit for each, and more for those that come late. */
export class Letters {
  readonly #known = new Map<string, string>([["", ""]]);

  of(text: string): string {
    let letter = this.#known.get(text);
    if (letter === undefined) {
      const code = FIRST + this.#known.size;
      letter = code <= LAST ? String.fromCharCode(code) : `#${code};`;
      this.#known.set(text, letter);
    }
    return letter;
  }
}
