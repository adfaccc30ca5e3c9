// Line diff: where two texts differ, as a person reads it.

export interface LineDiff {
  /** Lines that stand in one of them only. */
  readonly changes: number;
  /** `- ` before and `+ ` after, with two lines around each place; at most 60 lines. */
  readonly text: string;
}

const AROUND = 2;
const SHOWN_MAX = 60;
/** A longer middle is shown as replaced: the table below grows with its square. */
const COMPARED_MAX = 2_000;

type Line = { readonly mark: " " | "-" | "+"; readonly text: string };

export function lineDiff(before: readonly string[], after: readonly string[]): LineDiff {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  )
    end++;
  const lines: Line[] = [
    ...before.slice(0, start).map(same),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same),
  ];
  return { changes: lines.filter(({ mark }) => mark !== " ").length, text: shown(lines) };
}

const same = (text: string): Line => ({ mark: " ", text });

/** By the longest common subsequence, after Wagner and Fischer (1974). */
function middle(before: readonly string[], after: readonly string[]): Line[] {
  const removed = (text: string): Line => ({ mark: "-", text });
  const added = (text: string): Line => ({ mark: "+", text });
  if (before.length > COMPARED_MAX || after.length > COMPARED_MAX) return [...before.map(removed), ...after.map(added)];
  const width = after.length + 1;
  const common = new Uint16Array((before.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--)
    for (let j = after.length - 1; j >= 0; j--)
      common[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push(same(before[i] as string));
      i++;
      j++;
    } else if (j >= after.length || (i < before.length && at(i + 1, j) >= at(i, j + 1))) {
      lines.push(removed(before[i++] as string));
    } else lines.push(added(after[j++] as string));
  }
  return lines;
}

function shown(lines: readonly Line[]): string {
  const isNear = (index: number): boolean =>
    lines.slice(Math.max(0, index - AROUND), index + AROUND + 1).some(({ mark }) => mark !== " ");
  const out: string[] = [];
  let skipped = false;
  for (const [index, { mark, text }] of lines.entries()) {
    if (!isNear(index)) {
      skipped = true;
      continue;
    }
    if (skipped && out.length > 0) out.push("  …");
    skipped = false;
    out.push(`${mark} ${text}`);
  }
  return out.length > SHOWN_MAX
    ? [...out.slice(0, SHOWN_MAX), `  … ${out.length - SHOWN_MAX} more`].join("\n")
    : out.join("\n");
}
