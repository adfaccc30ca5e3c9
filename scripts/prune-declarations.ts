// Removes the declarations from `dist` that no entry point leads to: half of what tsc writes. Part of `npm run build`.

import { readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Every declaration file that the package's exports lead to, and those they name that are not there. */
export function reachableDeclarations(): { readonly files: ReadonlySet<string>; readonly missing: readonly string[] } {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  };
  const files = new Set<string>();
  const missing: string[] = [];
  const ahead = Object.values(exports).flatMap((target) =>
    typeof target === "string" ? [] : join(ROOT, target.types),
  );
  for (let file = ahead.pop(); file !== undefined; file = ahead.pop()) {
    if (files.has(file)) continue;
    const text = ts.sys.readFile(file);
    if (text === undefined) {
      missing.push(file);
      continue;
    }
    files.add(file);
    const from = dirname(file);
    const { importedFiles } = ts.preProcessFile(text);
    const named = importedFiles.map(({ fileName }) => fileName).filter((name) => name.startsWith("."));
    ahead.push(...named.map((name) => resolve(from, name.replace(/\.[jt]s$/, ".d.ts"))));
  }
  return { files, missing };
}

export function declarationsIn(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return paths.filter((path) => path.endsWith(".d.ts")).map((path) => join(folder, path));
}

/** @throws {Error} Where an entry point leads to a declaration that is not there. */
export function pruneDeclarations(): void {
  const { files, missing } = reachableDeclarations();
  if (missing.length > 0) throw new Error(`declarations that are not there: ${missing.join(", ")}`);
  for (const file of declarationsIn(join(ROOT, "dist"))) if (!files.has(file)) rmSync(file, { force: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) pruneDeclarations();
