// Packages that are installed beside Orchestra by those who use what needs them.

import { OrchestraError } from "./errors.ts";

/**
 * What `load` gives: `optionalPackage("prom-client", () => import("prom-client"))`.
 *
 * @throws {OrchestraError} `ORCH_PACKAGE_MISSING` with the command that installs `name`, when it is not there.
 */
export async function optionalPackage<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    if (!isMissing(name, error)) throw error;
    throw new OrchestraError(
      "ORCH_PACKAGE_MISSING",
      `the package "${name}" is needed for this and not installed: npm install ${name}`,
      { cause: error, details: { package: name, install: `npm install ${name}` } },
    );
  }
}

/** The package itself, not something that it looks for in vain. */
function isMissing(name: string, error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const notFound = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  return notFound && typeof message === "string" && message.includes(`'${name}'`);
}
