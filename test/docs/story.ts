// A page that its reader follows: files to be written (`ts file=team.ts`), lines to be typed (`sh run`), drawings of such
// files (`mermaid`). All of it happens in one folder, in the order of the page.

import type { Block } from "./markdown.ts";

export type Act = { readonly line: number } & (
  | { readonly kind: "write"; readonly name: string; readonly code: string }
  | { readonly kind: "type"; readonly script: string; readonly prints: string | undefined }
  | { readonly kind: "draw"; readonly name: string; readonly drawing: string }
);

export const fileOf = ({ info }: Block): string | undefined =>
  info.find((word) => word.startsWith("file="))?.slice("file=".length);

export const isTyped = ({ info }: Block): boolean => info[0] === "sh" && info.includes("run");
export const isProgram = ({ info }: Block): boolean => info[0] === "ts" && info.includes("run");
/** What the block before it prints; a drawing, unless that block is a file. */
export const isPrinted = ({ info }: Block): boolean => info.includes("prints") || info[0] === "mermaid";

export function storyOf(blocks: readonly Block[]): Act[] {
  return blocks.flatMap((block, i): Act[] => {
    const { line, code, info } = block;
    const [before, after] = [blocks[i - 1], blocks[i + 1]];
    const name = fileOf(block);
    if (name !== undefined) return [{ line, kind: "write", name, code }];
    if (isTyped(block)) {
      const prints = after !== undefined && isPrinted(after) ? after.code : undefined;
      return [{ line, kind: "type", script: code, prints }];
    }
    const drawn = info[0] === "mermaid" && before !== undefined ? fileOf(before) : undefined;
    return drawn === undefined ? [] : [{ line, kind: "draw", name: drawn, drawing: code }];
  });
}
