// A user's project: an empty folder that has Orchestra installed, as built, and nothing else of ours.

import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { pruneDeclarations } from "../../scripts/prune-declarations.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const JITI = pathToFileURL(join(ROOT, "node_modules/jiti/lib/jiti-register.mjs")).href;

export interface Ended {
  /** `null` when it was stopped for taking too long. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Project {
  readonly folder: string;
  /** Runs a TypeScript or JavaScript program in the folder, with the user's `orchestra` in reach. */
  run(code: string, options?: { name?: string; timeoutMs?: number; env?: Record<string, string> }): Promise<Ended>;
  /** Runs shell lines in the folder, with the user's `orchestra` (and `npx orchestra`) in reach. */
  type(script: string): Promise<Ended>;
  /** What TypeScript, strict, has to say to files of the folder. */
  compile(names: readonly string[]): Promise<string>;
  remove(): void;
}

/** Builds `dist` where it is missing or older than the sources; `npm test` has done so before. */
export function ensureBuilt(): void {
  const built = join(ROOT, "dist/index.js");
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
  const newest = Math.max(...sources.map((path) => statSync(join(ROOT, "src", path)).mtimeMs));
  if (existsSync(built) && statSync(built).mtimeMs >= newest) return;
  const build = (program: string, ...args: string[]) =>
    execFileSync(process.execPath, [join(ROOT, "node_modules", program), ...args], { cwd: ROOT, stdio: "pipe" });
  build("typescript/bin/tsc", "-p", "tsconfig.build.json");
  pruneDeclarations();
  build("rolldown/bin/cli.mjs", "-c");
}

/** @param packages What the user has installed beside `orchestra`. */
export function createProject(packages: readonly string[] = []): Project {
  const folder = mkdtempSync(join(tmpdir(), "orchestra-project-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules/orchestra"), "junction");
  for (const name of packages) {
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name), "junction");
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "project", private: true, type: "module" }));
  const start = (
    command: string,
    args: readonly string[],
    { timeoutMs, env = {} }: { timeoutMs: number; env?: Record<string, string> },
  ): Promise<Ended> =>
    new Promise((resolve) => {
      const child = execFile(
        command,
        [...args],
        // vitest's own variables would make the child think that it is a test.
        { cwd: folder, timeout: timeoutMs, killSignal: "SIGKILL", env: { PATH: process.env.PATH, ...env } },
        (_error, stdout, stderr) => resolve({ exitCode: child.exitCode, stdout, stderr }),
      );
      child.stdin?.end();
    });
  return {
    folder,
    run(code, { name = "main.ts", timeoutMs = 150_000, env = {} } = {}) {
      writeFileSync(join(folder, name), code);
      const flags = name.endsWith(".ts") ? ["--import", JITI] : [];
      return start(process.execPath, [...flags, name], { timeoutMs, env });
    },
    type(script) {
      const main = join(ROOT, "dist/cli/main.js");
      // As `npx` finds it, without npm's start-up time.
      const lines = `orchestra() { "${process.execPath}" "${main}" "$@"; }\nnpx() { "$@"; }\n${script}`;
      return start("sh", ["-c", lines], { timeoutMs: 150_000 });
    },
    async compile(names) {
      const compilerOptions = {
        strict: true,
        noEmit: true,
        module: "nodenext",
        target: "es2023",
        lib: ["es2023", "esnext.disposable"],
        moduleDetection: "force",
        skipLibCheck: true,
        typeRoots: [join(ROOT, "node_modules/@types")],
        types: ["node"],
      };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: names }));
      const args = [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", ".", "--pretty", "false"];
      return (await start(process.execPath, args, { timeoutMs: 150_000 })).stdout;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
