// `npm run bench`: fetches what Orchestra is measured against (once), builds Orchestra, and starts main.ts.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const peers = fileURLToPath(new URL("peers", import.meta.url));
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

function run(command, args, cwd = root) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function isInstalled() {
  const wanted = JSON.parse(readFileSync(`${peers}/package.json`, "utf8")).dependencies;
  return Object.keys(wanted).every((name) => {
    const file = `${peers}/node_modules/${name}/package.json`;
    return (
      existsSync(file) &&
      (/^[~^]/.test(wanted[name]) || JSON.parse(readFileSync(file, "utf8")).version === wanted[name])
    );
  });
}

const args = process.argv.slice(2);
if (!args.includes("--help")) {
  if (!isInstalled()) {
    console.error("installing what Orchestra is measured against into bench/peers (once; SQLite may be compiled)…");
    run(npm, ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], peers);
  }
  if (!args.includes("--no-build")) run(npm, ["run", "--silent", "build"]);
}
run(process.execPath, ["--import", "jiti/register", "bench/main.ts", ...args]);
