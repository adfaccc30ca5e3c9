// A fixer without a model: edits it was written with, made one at a time, by what failed. The first for money is wrong.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentContext } from "orchestra";
import { commit } from "../commit.ts";
import type { Edit, Plan } from "../team.ts";

interface Known {
  /** Begins the name of the tests it is for. */
  readonly tests: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly summary: string;
}

const EDITS: readonly Known[] = [
  {
    tests: "slug",
    file: "src/slug.js",
    from: 'title.toLowerCase().replace(" ", "-")',
    to: 'title.toLowerCase().match(/[a-z0-9]+/g).join("-")',
    summary: "take the words out of the title, and join them",
  },
  {
    tests: "money",
    file: "src/money.js",
    from: "(cents / 100).toString()",
    to: "(cents / 100).toFixed(2)",
    summary: "always show both digits",
  },
  {
    tests: "money",
    file: "src/money.js",
    from: "(cents / 100).toFixed(2)",
    to: '(cents / 100).toLocaleString("en-US", { minimumFractionDigits: 2 })',
    summary: "group thousands, too",
  },
];

export async function scriptedFixer({ cwd, failing }: Plan, ctx: AgentContext): Promise<Edit> {
  for (const { tests, file, from, to, summary } of EDITS) {
    if (failing.length > 0 && !failing.some((name) => name.startsWith(tests))) continue;
    const path = join(cwd, file);
    const text = await readFile(path, "utf8");
    if (!text.includes(from)) continue;
    await writeFile(path, text.replace(from, to));
    await commit(cwd, summary, ctx);
    return { files: [file], summary };
  }
  return { files: [], summary: "knows no edit for this" };
}
