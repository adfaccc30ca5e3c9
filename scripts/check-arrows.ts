// Holds the import arrows of ARCHITECTURE.md: `npm run arrows`. Exits 1 when a rule is broken.

import { readdirSync, readFileSync } from "node:fs";
import { findViolations } from "./arrows.ts";

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => `src/${path.replaceAll("\\", "/")}`);
const violations = findViolations(new Map(files.map((file) => [file, readFileSync(file, "utf8")])));

for (const { rule, file, line, message } of violations) console.error(`${file}:${line}  ${rule}  ${message}`);
console.log(`arrows: ${files.length} files, ${violations.length} violations`);
process.exitCode = violations.length > 0 ? 1 : 0;
