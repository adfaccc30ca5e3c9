// Imports the package, and says which of what it must not load until it is used is there all the same.

import { createRequire } from "node:module";

await import("orchestra");
const LAZY = ["classic-level", "hnswlib-node", "@nats-io", "nats"];
const loaded = Object.keys(createRequire(import.meta.url).cache);
console.log(
  JSON.stringify({ loaded: LAZY.filter((name) => loaded.some((path) => path.includes(`/node_modules/${name}/`))) }),
);
