// Find contract: the JSON object with `next_action` in what a model said, bare, in a fenced block, or amid prose.

export type Contract = Readonly<Record<string, unknown>>;

export type Found =
  | { readonly type: "none" }
  | { readonly type: "one"; readonly contract: Contract }
  | { readonly type: "several" }
  /** Meant as a contract, but no JSON. */
  | { readonly type: "broken"; readonly reason: string };

const MARK = /["']next_action["']\s*:|\{\s*next_action\s*:/g;
const FENCE = "```";
/** Marks looked at, and braces tried in front of each: a longer search would only find what no model means. */
const MARKS_MAX = 8;
const BRACES_MAX = 16;

export function findContract(text: string): Found {
  const bare = text.trim();
  const whole = parsedContract(unfenced(bare));
  if (whole !== undefined) return { type: "one", contract: whole };
  const marks = [...bare.matchAll(MARK)].slice(0, MARKS_MAX);
  const [firstMark] = marks;
  if (firstMark === undefined) return { type: "none" };
  const found: Placed[] = [];
  let past = 0;
  for (const { index } of marks) {
    if (index < past) continue;
    const at = contractAround(bare, index, past);
    if (at === undefined) continue;
    found.push(at);
    past = at.end;
  }
  const [first, ...others] = found;
  if (first === undefined) return { type: "broken", reason: whatIsBroken(bare, firstMark.index) };
  // A model that repeats itself word for word means it once.
  return others.every(({ source }) => source === first.source)
    ? { type: "one", contract: first.contract }
    : { type: "several" };
}

function unfenced(text: string): string {
  if (!text.startsWith(FENCE) || !text.endsWith(FENCE)) return text;
  const lineEnd = text.indexOf("\n");
  return lineEnd < 0 ? text : text.slice(lineEnd, -FENCE.length).trim();
}

interface Placed {
  readonly contract: Contract;
  readonly source: string;
  /** Just behind it. */
  readonly end: number;
}

/** The innermost object that holds the mark as a key of its own. */
function contractAround(text: string, mark: number, from: number): Placed | undefined {
  let open = mark;
  for (let tried = 0; tried < BRACES_MAX; tried++) {
    open = open < 0 ? -1 : text.lastIndexOf("{", open);
    if (open < from) return undefined;
    const end = objectEnd(text, open);
    if (end > mark) {
      const source = text.slice(open, end);
      const contract = parsedContract(source);
      if (contract !== undefined) return { contract, source, end };
    }
    open--;
  }
  return undefined;
}

/** Just behind the brace that closes the one at `open`; -1 where none does. */
function objectEnd(text: string, open: number): number {
  let depth = 0;
  let isQuoted = false;
  for (let at = open; at < text.length; at++) {
    const char = text[at];
    if (isQuoted) {
      if (char === "\\") at++;
      else if (char === '"') isQuoted = false;
    } else if (char === '"') isQuoted = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return at + 1;
  }
  return -1;
}

function parsedContract(text: string): Contract | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && Object.hasOwn(value, "next_action")
      ? (value as Contract)
      : undefined;
  } catch {
    return undefined;
  }
}

function whatIsBroken(text: string, mark: number): string {
  const open = text.lastIndexOf("{", mark);
  if (open < 0) return "the JSON object does not begin with {";
  const end = objectEnd(text, open);
  if (end < 0) return "the JSON object is not complete: a closing quote or brace is missing";
  try {
    JSON.parse(text.slice(open, end));
    return "next_action stands inside another object";
  } catch (error) {
    return `the JSON cannot be read: ${(error as Error).message}`;
  }
}
