// The machine a figure was measured on; without it the figure means nothing.

import { closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { figure, spreadOf } from "./statistics.ts";

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0x01021994: "tmpfs (in memory: fsync costs nothing)",
  0x58465342: "xfs",
  0x794c7630: "overlayfs",
  0x9123683e: "btrfs",
  0xef53: "ext4",
};

/** Each with the folder that it is installed for. */
const PACKAGES: readonly (readonly [name: string, from: string])[] = [
  ["xstate", "."],
  ["level", "."],
  ["@langchain/langgraph", "peers/"],
  ["@langchain/langgraph-checkpoint-sqlite", "peers/"],
  ["bullmq", "peers/"],
  ["@restatedev/restate-server", "peers/"],
  ["@mastra/core", "peers/mastra/"],
];

function versionOf(name: string, from: string): string {
  const require = createRequire(new URL(from, import.meta.url));
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(join(folder, name, "package.json"), "utf8")) as { version: string }).version;
    } catch {
      continue; // not in this folder; the next one up may have it
    }
  }
  return "not installed";
}

/** Milliseconds of one appended record and its fsync in `parent`: the floor of `disk`. */
function fsyncMs(parent: string): string {
  const folder = mkdtempSync(join(parent, "fsync-"));
  const file = openSync(join(folder, "probe"), "a");
  const samples = Array.from({ length: 50 }, () => {
    const started = performance.now();
    writeSync(file, Buffer.alloc(400));
    fsyncSync(file);
    return performance.now() - started;
  });
  closeSync(file);
  rmSync(folder, { recursive: true });
  const { median, max } = spreadOf(samples);
  return `${figure(median)} ms in the middle, ${figure(max)} ms at worst`;
}

export function describeMachine(folder: string): string {
  const processors = cpus();
  const versions = PACKAGES.map(([name, from]) => [name, versionOf(name, from)]);
  const fileSystem = Number(statfsSync(folder).type);
  return [
    `- Node.js ${process.version}, ${type()} ${release()}, ${processors.length} × ${processors[0]?.model ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    `- files on ${FILE_SYSTEMS[fileSystem] ?? `file system 0x${fileSystem.toString(16)}`}; write and fsync of 400 bytes: ${fsyncMs(folder)}`,
    `- ${[["orchestra", ownVersion()], ...versions].map((pair) => pair.join(" ")).join(", ")}`,
  ].join("\n");
}

function ownVersion(): string {
  return (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
}
