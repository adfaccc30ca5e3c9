// Environment: what of this process's environment a command may see.

import { OrchestraError } from "../../base/errors.ts";

/** Variables that commands inherit where nothing else is said: where programs, files and the user's language are. No keys. */
export const DEFAULT_INHERITED: readonly string[] = Object.freeze([
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
]);

/** Those of the named variables that are set here. */
export function inherited(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` when one of them is not set: a command without its key would fail in its own words. */
export function inheritedSecrets(names: readonly string[], agent: string): Record<string, string> {
  const found = inherited(names);
  const missing = names.filter((name) => !Object.hasOwn(found, name) || found[name] === "");
  if (missing.length === 0) return found;
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `agent "${agent}": secretEnv: not set in the environment of this process: ${missing.join(", ")}`,
  );
}
