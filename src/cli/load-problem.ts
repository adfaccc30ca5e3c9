// Load problem: why a user's file does not run, as `FILE:LINE: message`, as far as the error tells.

import { realpathSync } from "node:fs";
import { dirname, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** @param path The file as the user named it; places in it are told by that name, others relative to `cwd`. */
export function loadProblem(error: unknown, { full, path, cwd }: { full: string; path: string; cwd: string }): string {
  if (!(error instanceof Error)) return `${path} does not run: ${String(error)}`;
  // A parser's error has the place on a line of its own; one of a missing module goes on with who asked for it.
  const parsed = /^(.*?)\s*\n\s*(.+):(\d+):(\d+)$/s.exec(error.message);
  const place = parsed === null ? placeIn(error.stack ?? "") : { file: parsed[2] ?? full, line: parsed[3] ?? "1" };
  const message = parsed?.[1] ?? error.message.split("\nRequire stack:")[0] ?? error.message;
  const where = place === undefined ? path : `${nameOf(place.file)}:${place.line}`;
  return `${where}: ${error.name === "Error" ? "" : `${error.name}: `}${message}`;

  function nameOf(file: string): string {
    return isSame(file, full) ? path : relative(cwd, file);
  }
}

/** The innermost place of the stack that is neither Node's, a package's, nor ours. */
function placeIn(stack: string): { file: string; line: string } | undefined {
  for (const [, at = "", line = ""] of stack.matchAll(/^\s+at (?:.*\()?(.+?):(\d+):\d+\)?$/gm)) {
    const file = at.startsWith("file:") ? fileURLToPath(at) : at.replace(/^async /, "");
    const foreign = file.startsWith("node:") || file.includes(`${sep}node_modules${sep}`) || file.startsWith(OWN);
    if (!foreign && /^([A-Za-z]:)?[\\/]/.test(file)) return { file, line };
  }
  return undefined;
}

/** Whether a line of a stack names a place in this program, or in Node or its loader. */
export function isOwnFrame(line: string): boolean {
  return (
    /^\s+at /.test(line) &&
    (line.includes(OWN) || line.includes("node:internal") || line.includes("new Promise (<anonymous>)"))
  );
}

/** Folder of this program: its sources, or what was built of them. */
const OWN = dirname(dirname(fileURLToPath(import.meta.url))) + sep;

function isSame(a: string, b: string): boolean {
  try {
    return realpathSync(a) === realpathSync(b);
  } catch {
    return a === b;
  }
}
