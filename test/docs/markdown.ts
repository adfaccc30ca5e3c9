// What the tests of the documents need to know about Markdown: fenced blocks, links, and the anchors of headings.

export interface Block {
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** The words after the fence: `ts run` is `["ts", "run"]`. */
  readonly info: readonly string[];
  readonly code: string;
}

export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const fence = /^(\s*)(`{3,})(.*)$/.exec(lines[i] ?? "");
    if (fence === null) continue;
    const [, indent = "", ticks = "", info = ""] = fence;
    const start = i + 1;
    do i++;
    while (i < lines.length && (lines[i] ?? "").trimEnd() !== indent + ticks);
    const code = lines.slice(start, i).map((line) => line.slice(indent.length));
    blocks.push({ line: start, info: info.trim().split(/\s+/).filter(Boolean), code: code.join("\n") + "\n" });
  }
  return blocks;
}

/** The targets of links and images, code left out. */
export function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^\s*(`{3,})[\s\S]*?^\s*\1\s*$/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(<?([^)\s>]+)>?[^)]*\)/g)].map(([, target = ""]) => target);
}

/** As GitHub makes them: lower case, punctuation dropped, spaces as hyphens, repeats numbered. */
export function anchorsOf(markdown: string): Set<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  const prose = markdown.replace(/^\s*(`{3,})[\s\S]*?^\s*\1\s*$/gm, "");
  for (const [, title = ""] of prose.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const text = title.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`);
  }
  return anchors;
}
