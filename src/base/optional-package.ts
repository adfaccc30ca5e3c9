// Packages that are installed beside Orchestra by those who use what needs them.

import { OrchestraError } from "./errors.ts";

/**
 * What `load` gives, which needs one package, or several: `optionalPackage("prom-client", () => import("prom-client"))`.
 *
 * @throws {OrchestraError} `ORCH_PACKAGE_MISSING` with the command that installs `names`, when one of them is not there.
 */
export async function optionalPackage<Module>(
  names: string | readonly string[],
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const all = [names].flat();
    const name = all.find((one) => isMissing(one, error));
    if (name === undefined) throw error;
    const install = `npm install ${all.join(" ")}`;
    throw new OrchestraError(
      "ORCH_PACKAGE_MISSING",
      `the package "${name}" is needed for this and not installed: ${install}`,
      { cause: error, details: { package: name, install } },
    );
  }
}

/** The package itself, not something that it looks for in vain. */
function isMissing(name: string, error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const notFound = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  return notFound && typeof message === "string" && message.includes(`'${name}'`);
}
