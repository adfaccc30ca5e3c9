// `npm run bench`: fetches what Orchestra is measured against (once), builds Orchestra, and starts main.ts.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const peers = fileURLToPath(new URL("peers", import.meta.url));
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

function run(command, args, cwd = root) {
  // One peer reports its installation to its makers unless told not to.
  const env = { ...process.env, SCARF_ANALYTICS: "false" };
  const { status, error } = spawnSync(command, args, { cwd, env, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

function isInstalled(folder) {
  const wanted = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")).dependencies;
  return Object.keys(wanted).every((name) => {
    const file = `${folder}/node_modules/${name}/package.json`;
    return (
      existsSync(file) &&
      (/^[~^]/.test(wanted[name]) || JSON.parse(readFileSync(file, "utf8")).version === wanted[name])
    );
  });
}

function install(folder) {
  if (isInstalled(folder)) return;
  console.error(`installing what Orchestra is measured against into ${folder} (once; SQLite may be compiled)…`);
  run(npm, ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], folder);
}

/** Mastra needs Node.js 22.13; elsewhere its rows say so. */
const [major, minor] = process.versions.node.split(".").map(Number);
const hasMastra = major > 22 || (major === 22 && minor >= 13);

const args = process.argv.slice(2);
if (!args.includes("--help")) {
  install(peers);
  if (hasMastra) install(`${peers}/mastra`);
  if (!args.includes("--no-build")) run(npm, ["run", "--silent", "build"]);
}
run(process.execPath, ["--import", "jiti/register", "bench/main.ts", ...args]);
