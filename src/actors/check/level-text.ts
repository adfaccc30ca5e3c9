// What a fingerprint becomes when something inside it changes: told from the levels around the change, without the rest.

import type { Level } from "./outline.ts";

/** What becomes of a level, beside what becomes of the level within it. */
export interface Splice {
  readonly open: string;
  readonly close: string;
  /** New parts, sorted; the level within is not one of them. */
  readonly come: readonly string[];
}

/** The fingerprint of the run in which one part of the innermost of `levels` went and the changes came. */
export function textOf(levels: readonly Level[], part: string, changes: readonly Splice[]): string {
  let gone = part;
  let inner: string | null = null;
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    const { open, close, come } = changes[i]!;
    inner = open + bodyOf(level, gone, come, inner) + close;
    gone = level.text;
  }
  return inner!;
}

/** The body of a level without a part like `gone`, and with those that come and the level within. */
function bodyOf(level: Level, gone: string, come: readonly string[], inner: string | null): string {
  const { parts, body } = level;
  if (inner !== null)
    return parts.length === 1 && come.length === 0 ? inner : partsOf(level, gone, come, inner).join("");
  // Where all parts are letters the body is as good as the list.
  if (body.length !== parts.length || come.length > 1) return partsOf(level, gone, come, inner).join("");
  const at = body.indexOf(gone);
  if (come.length === 0) return body.slice(0, at) + body.slice(at + 1);
  const letter = come[0]!;
  if (letter.length !== 1) return partsOf(level, gone, come, inner).join("");
  let to = 0;
  while (to < body.length && body.charCodeAt(to) < letter.charCodeAt(0)) to++;
  return to <= at
    ? body.slice(0, to) + letter + body.slice(to, at) + body.slice(at + 1)
    : body.slice(0, at) + body.slice(at + 1, to) + letter + body.slice(to);
}

/** The parts of a level in that case. */
export function partsOf({ parts }: Level, gone: string, come: readonly string[], inner: string | null): string[] {
  if (parts.length === 1 && come.length === 0) return inner === null ? [] : [inner];
  const now = parts.slice();
  const at = now.indexOf(gone);
  if (inner === null && come.length === 1) now[at] = come[0]!;
  else {
    now.splice(at, 1, ...come);
    if (inner !== null) now.push(inner);
  }
  return now.sort();
}
