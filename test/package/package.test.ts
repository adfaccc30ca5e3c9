import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { linksOf } from "../docs/markdown.ts";
import { declarationsIn, reachableDeclarations } from "../../scripts/prune-declarations.ts";
import { createProject, ensureBuilt, ROOT } from "./project.ts";

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly bin: { readonly orchestra: string };
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
};

const SOMETIMES_NEEDED = [
  "@a2a-js",
  "@ai-sdk",
  "@marcbachmann/cel-js",
  "@nats-io",
  "@opentelemetry",
  "ai",
  "classic-level",
  "commander",
  "hnswlib-node",
  "jiti",
  "level",
  "msgpackr",
  "nats",
  "pino",
  "prom-client",
  "xstate",
  "yaml",
  "zod",
];

interface Packed {
  readonly files: readonly { readonly path: string }[];
  readonly unpackedSize: number;
}

function packed(): Packed {
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const text = execFileSync(npm, ["pack", "--dry-run", "--json", "--ignore-scripts", "--loglevel=silent"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return (JSON.parse(text) as [Packed])[0];
}

function packedFiles(): string[] {
  return packed().files.map(({ path }) => path);
}

/** What npm installs beside the package, without what is optional. */
function installedBeside(): string[] {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, Readonly<Record<"dev" | "optional" | "peer" | "devOptional", boolean>>>>;
  };
  return Object.entries(lock.packages).flatMap(([path, { dev, optional, peer, devOptional }]) =>
    path === "" || dev || optional || peer || devOptional ? [] : [join(ROOT, path)],
  );
}

function bytesOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== "node_modules")
    .map((entry) => join(folder, entry.name))
    .reduce((sum, path) => sum + (statSync(path).isDirectory() ? bytesOf(path) : statSync(path).size), 0);
}

describe("the package", () => {
  beforeAll(ensureBuilt);

  it("holds every file its manifest points to, the licence and the list of errors, and no sources or tests", () => {
    const files = packedFiles();
    const pointedTo = Object.values(manifest.exports)
      .flatMap((target) => (typeof target === "string" ? [target] : [target.types, target.default]))
      .concat(manifest.bin.orchestra)
      .map((path) => path.replace(/^\.\//, ""));
    expect(files).toEqual(expect.arrayContaining([...pointedTo, "LICENSE", "README.md", "docs/errors.md"]));
    expect(files.filter((path) => /^(src|test|bench|scripts|examples)\/|(?<!\.d)\.ts$/.test(path))).toEqual([]);
  });

  it("brings the pages for coding agents, and every page they lead to", () => {
    const files = packedFiles();
    expect(files).toEqual(expect.arrayContaining(["AGENTS.md", "llms.txt"]));
    const linked = ["AGENTS.md", "llms.txt"]
      .flatMap((page) => linksOf(readFileSync(join(ROOT, page), "utf8")))
      .map((link) => link.replace(/#.*$/, ""));
    expect(linked.filter((path) => !/^[a-z]+:/.test(path) && !files.includes(path))).toEqual([]);
  });

  it("brings every page its README leads to, but for what the README says is left out", () => {
    const files = packedFiles();
    const links = linksOf(readFileSync(join(ROOT, "README.md"), "utf8")).map((link) => link.replace(/#.*$/, ""));
    const missing = links.filter((path) => path !== "" && !/^[a-z]+:/.test(path) && !files.includes(path));
    expect(missing.filter((path) => !/^(test|examples|bench)(\/|$)/.test(path))).toEqual([]);
    expect(readFileSync(join(ROOT, "README.md"), "utf8")).toContain("which the package leaves out");
  });

  it("takes no more than 25 MB with all that npm installs beside it", () => {
    const beside = installedBeside();
    expect(beside).toContain(join(ROOT, "node_modules/classic-level"));
    expect(packed().unpackedSize + beside.reduce((sum, folder) => sum + bytesOf(folder), 0)).toBeLessThan(25e6);
  });

  it("brings the declarations that its entry points lead to, and no others", () => {
    const { files, missing } = reachableDeclarations();
    expect(missing).toEqual([]);
    expect(declarationsIn(join(ROOT, "dist")).sort()).toEqual([...files].sort());
  });

  it("brings the licences of the packages that are inside of it", () => {
    const scripts = packedFiles().filter((path) => path.startsWith("dist/") && path.endsWith(".js"));
    const inside = scripts.flatMap((path) =>
      [...readFileSync(join(ROOT, path), "utf8").matchAll(/^\/\/.*\bnode_modules\/((?:@[^/\n]+\/)?[^/\n]+)/gm)].map(
        ([, name]) => name,
      ),
    );
    expect([...new Set(inside)]).toEqual(["msgpackr"]);
    expect(packedFiles()).toContain("dist/LICENSES.txt");
    const licences = readFileSync(join(ROOT, "dist/LICENSES.txt"), "utf8");
    expect(licences).toContain(readFileSync(join(ROOT, "node_modules/msgpackr/LICENSE"), "utf8").trim());
  });

  it("has a program to start that names its interpreter", () => {
    expect(readFileSync(join(ROOT, manifest.bin.orchestra), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it("says how to install what its user does without, when that is needed", async () => {
    const project = createProject();
    try {
      // As installed by npm, without the packages that are optional: a link would find those of this repository.
      const installed = join(project.folder, "node_modules/orchestra");
      rmSync(installed);
      for (const path of ["dist", "package.json"]) cpSync(join(ROOT, path), join(installed, path), { recursive: true });
      for (const name of Object.keys(manifest.dependencies)) {
        mkdirSync(dirname(join(project.folder, "node_modules", name)), { recursive: true });
        symlinkSync(join(ROOT, "node_modules", name), join(project.folder, "node_modules", name), "junction");
      }
      const code = `
        import { MetricsCollector } from "orchestra";
        await new MetricsCollector().prometheus().catch(({ code, details }) => console.log(code, details.install));`;
      expect(await project.run(code, { name: "main.mjs" })).toMatchObject({
        exitCode: 0,
        stdout: "ORCH_PACKAGE_MISSING npm install prom-client\n",
      });
    } finally {
      project.remove();
    }
  });

  it.each([
    "orchestra",
    ...["agents", "memory", "orchestration", "orchestrator", "telemetry", "testing"].map((name) => `orchestra/${name}`),
  ])("imports %s without a side effect, and lets the process end", async (name) => {
    const project = createProject();
    try {
      const code = `
        const before = new Set(Object.getOwnPropertyNames(globalThis));
        await import("${name}");
        console.log(JSON.stringify({
          globals: Object.getOwnPropertyNames(globalThis).filter((name) => !before.has(name) && !name.startsWith("__zod")),
          open: process.getActiveResourcesInfo().filter((kind) => !/^(Pipe|TTY|File)|Req/.test(kind)),
        }));`;
      const { exitCode, stdout, stderr } = await project.run(code, { name: "main.mjs" });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(JSON.parse(stdout)).toEqual({ globals: [], open: [] });
      expect(readdirSync(project.folder).sort()).toEqual(["main.mjs", "node_modules", "package.json"]);
    } finally {
      project.remove();
    }
  });

  it.each([
    "orchestra",
    ...["agents", "memory", "orchestrator", "telemetry", "testing"].map((name) => `orchestra/${name}`),
  ])("loads nothing by importing %s that a program may not need", async (name) => {
    const project = createProject();
    try {
      const { exitCode, stdout, stderr } = await project.run(`await import("${name}");`, {
        name: "main.mjs",
        env: { NODE_DEBUG: "esm,module" },
      });
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "" });
      const loaded = (packageName: string) => stderr.includes(`/node_modules/${packageName}/`);
      expect(SOMETIMES_NEEDED.filter(loaded)).toEqual([]);
    } finally {
      project.remove();
    }
  });

  it("takes a run to its end in a folder with nothing loaded but LevelDB, and without opening standard input", async () => {
    const project = createProject();
    try {
      const code = `
        import { createRequire } from "node:module";
        import { Edge, LevelStorage, OrchestraInstance, StateManager } from "orchestra";
        const instance = new OrchestraInstance({
          topology: { nodes: ["A", "B"], edges: [Edge("A", "B")], entryPoint: "A", exitPoints: ["B"] },
          agents: { A: (text) => \`\${text}a\`, B: (text) => \`\${text}b\` },
          stateManager: new StateManager({ storage: new LevelStorage("state") }),
        });
        const { finalResponse } = await instance.execute({ task: "t" });
        await instance.close();
        const files = Object.keys(createRequire(import.meta.url).cache);
        // What a pipe takes to be a stream.
        const net = process.moduleLoadList.includes("NativeModule net");
        console.log(JSON.stringify({ finalResponse, files, net }));`;
      const { exitCode, stdout, stderr } = await project.run(code, { name: "main.mjs" });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      const { finalResponse, files, net } = JSON.parse(stdout) as {
        readonly finalResponse: string;
        readonly files: readonly string[];
        readonly net: boolean;
      };
      const loaded = (name: string) =>
        files.some((path) => path.replaceAll("\\", "/").includes(`/node_modules/${name}/`));
      expect({ finalResponse, net, loaded: SOMETIMES_NEEDED.filter(loaded) }).toEqual({
        finalResponse: "tab",
        net: false,
        loaded: ["classic-level", "level"],
      });
    } finally {
      project.remove();
    }
  });
});
