// What is published (docs/decisions/020): one file per entry point and the chunks they share, in place of some 200 modules.
// `tsc` writes the declarations beside them.

import { readFileSync } from "node:fs";
import { defineConfig } from "rolldown";

const manifest = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
const { bin, dependencies, exports, optionalDependencies, peerDependencies } = manifest;
const packages = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
const entries = [...Object.values(exports).map((target) => target.default), ...Object.values(bin)]
  .map((path) => /^\.\/dist\/(.+)\.js$/.exec(path ?? "")?.[1])
  .filter((name) => name !== undefined);

export default defineConfig({
  input: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])),
  platform: "node",
  external: [/^node:/, ...packages.map((name) => new RegExp(`^${name}(/|$)`))],
  tsconfig: false,
  transform: { target: "node20.19" },
  output: { dir: "dist", format: "esm", entryFileNames: "[name].js", chunkFileNames: "chunks/[name].js" },
});
