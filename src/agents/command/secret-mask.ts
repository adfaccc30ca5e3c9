// Secret mask
//
// Owns:  which texts are secret, and what of a text is hidden because of them.
//
// M1  What is given out contains no secret, nor a part of one that it covered.
// M2  However a text is cut into pieces, its stream gives out the same as the text in one piece.
// M3  A stream holds back no more than the longest secret.

/** Stands where a secret was. No secret contains it, so what is left of a text can make none. */
const MASK = "███";
/** Lines of a secret of several lines are secrets of their own from this length; programs like to indent them. */
const LINE_LENGTH_MIN = 8;

export interface MaskStream {
  /** What of the text so far may be shown by now and was not yet. */
  write(text: string): string;
  /** The rest. */
  end(): string;
}

interface Span {
  readonly from: number;
  to: number;
}

export class SecretMask {
  readonly #needles: readonly string[];
  readonly #longest: number;

  /** Hides each of `secrets` as it is, and as JSON, URLs and Base64 write it. None may be empty or contain "█". */
  constructor(secrets: readonly string[]) {
    this.#needles = [...new Set(secrets.flatMap(writtenForms))].filter((needle) => needle !== "");
    this.#longest = Math.max(0, ...this.#needles.map((needle) => needle.length));
  }

  static accepts(secret: unknown): secret is string {
    return typeof secret === "string" && secret !== "" && !secret.includes("█");
  }

  mask(text: string): string {
    const stream = this.stream();
    return stream.write(text) + stream.end();
  }

  /** A copy of a JSON value with every text in it masked, names of properties included. */
  maskValue(value: unknown): unknown {
    if (this.#needles.length === 0) return value;
    if (typeof value === "string") return this.mask(value);
    if (Array.isArray(value)) return value.map((item) => this.maskValue(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.mask(key), this.maskValue(item)]));
  }

  stream(): MaskStream {
    if (this.#needles.length === 0) return { write: (text) => text, end: () => "" };
    let pending = "";
    // So much of the beginning of `pending` is covered by a mask that was given out already.
    let covered = 0;
    const giveOut = (until: number, spans: readonly Span[]): string => {
      if (until === 0) return "";
      let shown = "";
      let at = 0;
      for (const { from, to } of spans) {
        if (from >= until) break;
        shown += pending.slice(at, from);
        if (from > 0 || covered === 0) shown += MASK;
        at = to;
      }
      shown += pending.slice(Math.min(at, until), until);
      covered = Math.max(0, at - until);
      pending = pending.slice(until);
      return shown;
    };
    return {
      write: (text) => {
        pending += text;
        return giveOut(this.#heldFrom(pending), this.#spansIn(pending, covered));
      },
      end: () => giveOut(pending.length, this.#spansIn(pending, covered)),
    };
  }

  /** Where a secret may have begun that is not yet whole. */
  #heldFrom(text: string): number {
    for (let from = Math.max(0, text.length - this.#longest + 1); from < text.length; from++) {
      const tail = text.slice(from);
      if (this.#needles.some((needle) => needle.length > tail.length && needle.startsWith(tail))) return from;
    }
    return text.length;
  }

  /** What is secret in the text, in order; those that overlap are one. */
  #spansIn(text: string, covered: number): Span[] {
    const found: Span[] = covered === 0 ? [] : [{ from: 0, to: covered }];
    for (const needle of this.#needles) {
      for (let from = text.indexOf(needle); from >= 0; from = text.indexOf(needle, from + 1))
        found.push({ from, to: from + needle.length });
    }
    const merged: Span[] = [];
    for (const span of found.sort((a, b) => a.from - b.from)) {
      const last = merged.at(-1);
      if (last !== undefined && span.from < last.to) last.to = Math.max(last.to, span.to);
      else merged.push(span);
    }
    return merged;
  }
}

function writtenForms(secret: string): string[] {
  const lines = secret.split(/\r?\n/).filter((line) => line.length >= LINE_LENGTH_MIN);
  return [secret, ...lines].flatMap((text) => {
    const bytes = Buffer.from(text);
    return [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(bytes.toString()), bytes.toString("base64")];
  });
}
