import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import { optionalPackage } from "../../src/base/optional-package.ts";

it("gives a package that is there", async () => {
  expect(await optionalPackage("prom-client", () => import("prom-client"))).toHaveProperty("Registry");
});

it("names the command that installs one that is not", async () => {
  const name = "orchestra-does-not-know-such";
  await expect(optionalPackage(name, () => import(name))).rejects.toMatchObject({
    code: "ORCH_PACKAGE_MISSING",
    message: expect.stringContaining(`npm install ${name}`),
    details: { package: name, install: `npm install ${name}` },
    cause: { code: "ERR_MODULE_NOT_FOUND" },
  });
});

it("does not call one missing that is there and lacks a part of its own", async () => {
  const folder = mkdtempSync(join(tmpdir(), "orchestra-optional-"));
  try {
    const path = join(folder, "broken.mjs");
    writeFileSync(path, 'import "orchestra-does-not-know-such";');
    await expect(optionalPackage("broken", () => import(pathToFileURL(path).href))).rejects.toMatchObject({
      code: "ERR_MODULE_NOT_FOUND",
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
