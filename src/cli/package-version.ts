// Package versions: of this package, and of those it is made of, wherever they were installed.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const here = createRequire(import.meta.url);
/** Packages that came with another one, and are found from there. */
const CAME_WITH: Readonly<Record<string, string>> = { "classic-level": "level" };

/** `require` as the package of that name has it. @throws when it is not installed. */
export function requireOfPackage(name: string): NodeJS.Require {
  return createRequire(here.resolve(name));
}

/** Undefined when it is not installed. */
export function versionOf(name: string): string | undefined {
  try {
    if (name === "orchestra") return manifestAt(here.resolve("../../package.json"), name);
    const from = CAME_WITH[name];
    const entry = (from === undefined ? here : requireOfPackage(from)).resolve(name);
    for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
      const version = manifestAt(join(folder, "package.json"), name);
      if (version !== undefined) return version;
    }
  } catch {
    // Not to be found is an answer.
  }
  return undefined;
}

function manifestAt(file: string, name: string): string | undefined {
  if (!existsSync(file)) return undefined;
  const manifest = JSON.parse(readFileSync(file, "utf8")) as { name?: string; version?: string };
  return manifest.name === name ? manifest.version : undefined;
}
