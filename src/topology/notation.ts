// Notation
//
// `A -> B`, `A <-> B`, `A <=> B`, `A <~> B`, `A <|> B`, and chains of them in one string.

import type { EdgePattern } from "./types.ts";

/** The arrow of each pattern. */
export const ARROWS = {
  flow: "->",
  call: "<->",
  reflexive: "<=>",
  conversation: "<~>",
  peers: "<|>",
} as const satisfies Record<EdgePattern, string>;

export type Arrow = (typeof ARROWS)[EdgePattern];

const PATTERN_BY_ARROW: ReadonlyMap<string, EdgePattern> = new Map([
  ["->", "flow"],
  ["<->", "call"],
  ["<=>", "reflexive"],
  ["<~>", "conversation"],
  ["<|>", "peers"],
]);

export interface NotedEdge {
  readonly from: string;
  readonly to: string;
  readonly pattern: EdgePattern;
}

export type Notation =
  | { readonly ok: true; readonly edges: readonly NotedEdge[] }
  | { readonly ok: false; readonly message: string; readonly hint?: string };

// Two-sided arrows come first, so that `<->` is not read as `<` and `->`.
const ARROW = /(<->|<=>|<~>|<\|>|->)/;
const FORM = 'expected "A -> B", "A <-> B", "A <=> B", "A <~> B", "A <|> B" or a chain of them';

/** The pattern named by `text`: its name (`"call"`) or its arrow (`"<->"`). */
export function patternOf(text: string): EdgePattern | undefined {
  if (Object.hasOwn(ARROWS, text)) return text as EdgePattern;
  return PATTERN_BY_ARROW.get(text);
}

export function isTwoSided(pattern: EdgePattern): boolean {
  return pattern !== "flow";
}

/** Reads one string of notation; a chain of n names gives n - 1 edges. */
export function parseNotation(text: string): Notation {
  const parts = text.split(ARROW).map((part) => part.trim());
  if (parts.length < 3) return { ok: false, message: `no arrow in ${JSON.stringify(text)}`, ...hinted(text) };
  const edges: NotedEdge[] = [];
  for (let i = 1; i + 1 < parts.length; i += 2) {
    const [from = "", arrow = "", to = ""] = parts.slice(i - 1, i + 2);
    const wrong = wrongName(from) ?? wrongName(to);
    if (wrong !== undefined) {
      return { ok: false, message: `${wrong} beside "${arrow}" in ${JSON.stringify(text)}`, ...hinted(text) };
    }
    edges.push({ from, to, pattern: PATTERN_BY_ARROW.get(arrow) ?? "flow" });
  }
  return { ok: true, edges };
}

/** What keeps `name` from being a node's name: empty, too long, spaces around it, or an arrow or control character in it. */
export function wrongName(name: string): string | undefined {
  if (name.trim() === "") return "empty name";
  // Names stand as keys in stored records, and this key is one no record keeps.
  if (name === "__proto__") return '"__proto__" cannot be a name';
  if (name.length > 200) return `name of ${name.length} characters (at most 200)`;
  if (name !== name.trim()) return `spaces around the name ${JSON.stringify(name)}`;
  const odd = /[<>\p{Cc}]/u.exec(name);
  return odd === null ? undefined : `${JSON.stringify(odd[0])} in the name ${JSON.stringify(name)}`;
}

function hinted(text: string): { hint: string } {
  const likely = /<-(?!>)/.test(text)
    ? 'write "B -> A" instead of "A <- B"; '
    : /=>|→|-->/.test(text)
      ? 'the arrow is "->"; '
      : "";
  return { hint: likely + FORM };
}
