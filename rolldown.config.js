// What is published (docs/decisions/020, 054): one file per entry point and the chunks they share, in place of some 200 modules.
// `tsc` writes the declarations beside them, `scripts/prune-declarations.ts` keeps those that users can reach.

import { readFileSync } from "node:fs";
import { defineConfig } from "rolldown";

/** Packages that are published inside of ours, with their licences. */
const BUNDLED = ["msgpackr"];

const textOf = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const manifest = JSON.parse(textOf("package.json"));
const { bin, dependencies, devDependencies, exports, optionalDependencies, peerDependencies } = manifest;
const packages = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies, ...peerDependencies });
const entries = [...Object.values(exports).map((target) => target.default), ...Object.values(bin)]
  .map((path) => /^\.\/dist\/(.+)\.js$/.exec(path ?? "")?.[1])
  .filter((name) => name !== undefined);

const licences = {
  name: "licences-of-what-is-bundled",
  generateBundle() {
    const source = BUNDLED.map((name) => {
      const { version, license } = JSON.parse(textOf(`node_modules/${name}/package.json`));
      return `${name} ${version} (${license})\n\n${textOf(`node_modules/${name}/LICENSE`).trim()}\n`;
    }).join("\n\n");
    this.emitFile({ type: "asset", fileName: "LICENSES.txt", source });
  },
};

export default defineConfig({
  input: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])),
  platform: "node",
  external: [
    /^node:/,
    ...packages.filter((name) => !BUNDLED.includes(name)).map((name) => new RegExp(`^${name}(/|$)`)),
  ],
  plugins: [licences],
  tsconfig: false,
  transform: { target: "node20.19" },
  output: { dir: "dist", format: "esm", entryFileNames: "[name].js", chunkFileNames: "chunks/[name].js" },
});
