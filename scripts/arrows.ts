// Arrows
//
// Which folder may import which, which file may read the clock, which file may load which package.
// Pure: takes the sources, returns what breaks a rule. `check-arrows.ts` reads the tree and prints.
//
// A1  An import goes only where ARROWS allows it; type imports count, unless the arrow says they are all it allows.
// A2  No file imports itself by way of others, type imports included.
// A3  The clock, timers and chance are read only in the adapters and doors named in IMPURE_FILES.
// A4  `process.env` is read only in `src/cli`, and where commands are given what they may see of it.
// A5  A package in VENDORS is loaded only where its row says so.
// A6  No type is forced by way of `unknown`.

import { posix } from "node:path";
import ts from "typescript";

export interface Violation {
  readonly rule: "A1" | "A2" | "A3" | "A4" | "A5" | "A6";
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** Paths relative to the project with `/`, e.g. `src/base/ids.ts`, and the text of each. */
export type Sources = ReadonlyMap<string, string>;

interface Arrow {
  /** A folder of `src`, or one file. */
  readonly to: string;
  readonly typesOnly?: true;
}

const to = (...names: readonly string[]): Arrow[] => names.map((name) => ({ to: name }));
const typesOf = (...names: readonly string[]): Arrow[] => names.map((name) => ({ to: name, typesOnly: true }));

/** A folder may always import itself and `base`. `src` stands for the hand-written lists of public names. */
const ARROWS: Readonly<Record<string, readonly Arrow[]>> = {
  base: [],
  topology: [],
  actors: to("topology"),
  bus: [],
  state: typesOf("actors/facts.ts", "actors/effects.ts", "actors/session-state.ts"),
  // How options are refused.
  memory: [...to("state", "runtime/option-schema.ts"), ...typesOf("runtime/agent-memory.ts")],
  nats: to("bus", "state"),
  runtime: to("topology", "actors", "bus", "state"),
  agents: [
    ...to("runtime/agent.ts", "runtime/agent-source.ts", "runtime/failure-class.ts", "runtime/result-json.ts"),
    // How options are refused.
    ...to("runtime/option-schema.ts", "runtime/agent-policies.ts"),
    // What serves an agent to others runs it as a session.
    ...to("runtime/orchestra-instance.ts", "runtime/state-manager.ts", "state/memory-store.ts"),
    ...typesOf("runtime", "actors/facts.ts", "memory/ports.ts"),
  ],
  telemetry: typesOf("actors/effects.ts", "actors/facts.ts", "runtime/engine-api.ts"),
  testing: to("topology", "actors", "bus", "state", "runtime", "agents", "telemetry", "index.ts"),
  orchestrator: to("runtime", "agents", "memory", "topology/patterns.ts", "topology/read.ts"),
  control: to("index.ts", "runtime/result-json.ts"),
  cli: to(
    "index.ts",
    "testing/index.ts",
    "nats/index.ts",
    "orchestrator/index.ts",
    "memory/index.ts",
    "control",
    "topology/suggestion.ts",
  ),
  "index.ts": to("topology", "actors", "bus", "state", "runtime", "agents", "telemetry"),
};

/** Where a package may be loaded. `files: 1`: in one file only. */
const VENDORS: Readonly<Record<string, { readonly folders: readonly string[]; readonly files?: number }>> = {
  "@modelcontextprotocol/client": { folders: ["agents"], files: 1 },
  "@modelcontextprotocol/server": { folders: ["orchestrator"], files: 1 },
  "@nats-io/jetstream": { folders: ["nats"] },
  "@nats-io/kv": { folders: ["nats"] },
  "@nats-io/obj": { folders: ["nats"] },
  "@nats-io/transport-node": { folders: ["nats"] },
  "@a2a-js/sdk": { folders: ["agents"] },
  ai: { folders: ["agents", "testing"] },
  "@marcbachmann/cel-js": { folders: ["topology"], files: 1 },
  commander: { folders: ["cli"] },
  jiti: { folders: ["cli"] },
  "hnswlib-node": { folders: ["memory"], files: 1 },
  level: { folders: ["state"], files: 1 },
  msgpackr: { folders: ["base", "state"], files: 1 },
  "@opentelemetry/api": { folders: ["telemetry"] },
  "prom-client": { folders: ["telemetry"], files: 1 },
  vitest: { folders: [] },
  xstate: { folders: ["actors", "runtime"] },
};

/** Adapters and doors: the only files that may know what time it is. */
const IMPURE_FILES: readonly string[] = ["src/base/clock.ts", "src/base/random.ts"];
const IMPURE_FOLDERS: readonly string[] = ["src/cli/"];

/** Hands the variables that are named to the programs that agents start. */
const ENVIRONMENT_FILE = "src/agents/command/environment.ts";

const IMPURE_MEMBERS = new Set([
  "Date.now",
  "Math.random",
  "performance.now",
  "AbortSignal.timeout",
  "crypto.randomUUID",
  "crypto.getRandomValues",
]);
const IMPURE_NAMES = new Set(["setTimeout", "setInterval", "randomUUID", "randomBytes", "randomInt"]);

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typesOnly: boolean;
  readonly line: number;
}

/** Everything that breaks a rule, by file and line. */
export function findViolations(sources: Sources): Violation[] {
  const found: Violation[] = [];
  const imports: Import[] = [];
  for (const [file, text] of sources) {
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const ofFile = importsOf(source);
    imports.push(...ofFile);
    for (const one of ofFile) found.push(...checkArrow(one));
    found.push(...checkBody(source));
  }
  found.push(...checkVendors(imports), ...findCycles(sources, imports));
  return found.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

function lineOf(source: ts.SourceFile, node: ts.Node): number {
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
}

function importsOf(source: ts.SourceFile): Import[] {
  const imports: Import[] = [];
  const add = (node: ts.Node, specifier: ts.Node | undefined, typesOnly: boolean): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    imports.push({ from: source.fileName, specifier: specifier.text, typesOnly, line: lineOf(source, node) });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypesOnlyImport(node));
    else if (ts.isExportDeclaration(node)) add(node, node.moduleSpecifier, isTypesOnlyExport(node));
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node, node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node, node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
}

function isTypesOnlyImport(node: ts.ImportDeclaration): boolean {
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const names = clause.namedBindings;
  return clause.name === undefined && names !== undefined && ts.isNamedImports(names) && allTypes(names.elements);
}

function isTypesOnlyExport(node: ts.ExportDeclaration): boolean {
  const names = node.exportClause;
  return node.isTypeOnly || (names !== undefined && ts.isNamedExports(names) && allTypes(names.elements));
}

function allTypes(elements: readonly { readonly isTypeOnly: boolean }[]): boolean {
  return elements.length > 0 && elements.every((element) => element.isTypeOnly);
}

/** `src/base/ids.ts` → `base`; a file directly in `src` stands for itself. */
function folderOf(file: string): string | undefined {
  return file.startsWith("src/") ? file.split("/")[1] : undefined;
}

function resolve(one: Import): string | undefined {
  return one.specifier.startsWith(".") ? posix.join(posix.dirname(one.from), one.specifier) : undefined;
}

function checkArrow(one: Import): Violation[] {
  const from = folderOf(one.from);
  const target = resolve(one);
  if (from === undefined || target === undefined) return [];
  const wrong = (message: string): Violation[] => [{ rule: "A1", file: one.from, line: one.line, message }];
  const arrows = ARROWS[from] ?? ARROWS["index.ts"];
  if (!target.startsWith("src/")) return wrong(`imports ${target}, which is outside src`);
  if (!(from in ARROWS) && !from.endsWith(".ts")) return wrong(`folder src/${from} has no row in scripts/arrows.ts`);

  const folder = folderOf(target);
  if (folder === from || folder === "base") return [];
  const path = target.slice("src/".length);
  const fitting = (arrows ?? []).filter((arrow) => arrow.to === folder || arrow.to === path);
  if (fitting.some((arrow) => !arrow.typesOnly || one.typesOnly)) return [];
  return wrong(
    fitting.length > 0
      ? `${from} may import only types from ${path}`
      : `${from} may not import ${path}; its arrows: ${describe(arrows ?? [])}`,
  );
}

function describe(arrows: readonly Arrow[]): string {
  return ["base", ...arrows.map((arrow) => (arrow.typesOnly ? `types of ${arrow.to}` : arrow.to))].join(", ");
}

function checkBody(source: ts.SourceFile): Violation[] {
  const file = source.fileName;
  if (folderOf(file) === undefined) return [];
  const mayBeImpure = IMPURE_FILES.includes(file) || IMPURE_FOLDERS.some((folder) => file.startsWith(folder));
  const mayReadEnvironment = folderOf(file) === "cli" || file === ENVIRONMENT_FILE;
  const found: Violation[] = [];
  const add = (rule: "A3" | "A4" | "A6", node: ts.Node, message: string): void => {
    found.push({ rule, file, line: lineOf(source, node), message });
  };
  const visit = (node: ts.Node): void => {
    const impure = mayBeImpure ? undefined : impurity(node);
    if (impure !== undefined) add("A3", node, `${impure}: take a Clock, a Random or Ids instead`);
    if (ts.isPropertyAccessExpression(node) && node.getText(source) === "process.env" && !mayReadEnvironment)
      add("A4", node, `process.env is read in src/cli and ${ENVIRONMENT_FILE} only`);
    if (ts.isAsExpression(node) && ts.isAsExpression(node.expression) && isUnknown(node.expression.type))
      add("A6", node, "`as unknown as`: give the value its type where it is made, or parse it");
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isUnknown(type: ts.TypeNode): boolean {
  return type.kind === ts.SyntaxKind.UnknownKeyword;
}

/** What the node reads that a simulated world could not control, if anything. */
function impurity(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node)) {
    const name = node.getText().replace(/^globalThis\./, "");
    return IMPURE_MEMBERS.has(name) ? name : undefined;
  }
  if (ts.isNewExpression(node) && node.expression.getText() === "Date" && (node.arguments?.length ?? 0) === 0)
    return "new Date()";
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && IMPURE_NAMES.has(node.expression.text))
    return `${node.expression.text}()`;
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    const name = node.moduleSpecifier.text;
    return name.startsWith("node:timers") ? name : undefined;
  }
  return undefined;
}

function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function checkVendors(imports: readonly Import[]): Violation[] {
  const found: Violation[] = [];
  for (const [vendor, { folders, files }] of Object.entries(VENDORS)) {
    const uses = imports.filter((one) => folderOf(one.from) !== undefined && packageOf(one.specifier) === vendor);
    const homes = [...new Set(uses.map((one) => one.from))].sort();
    for (const one of uses) {
      const add = (message: string): void => void found.push({ rule: "A5", file: one.from, line: one.line, message });
      if (!folders.includes(folderOf(one.from) ?? ""))
        add(`"${vendor}" may be loaded in: ${folders.map((folder) => `src/${folder}`).join(", ") || "no file of src"}`);
      else if (files !== undefined && homes.length > files)
        add(`"${vendor}" is loaded in ${homes.length} files, at most ${files}: ${homes.join(", ")}`);
    }
  }
  return found;
}

/** One violation per circle, at the import that closes it. */
function findCycles(sources: Sources, imports: readonly Import[]): Violation[] {
  const outgoing = new Map<string, Import[]>();
  for (const one of imports) {
    const target = resolve(one);
    if (target === undefined || !sources.has(target)) continue;
    outgoing.set(one.from, [...(outgoing.get(one.from) ?? []), one]);
  }
  const found: Violation[] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    if (finished.has(file)) return;
    path.push(file);
    for (const one of outgoing.get(file) ?? []) {
      const target = resolve(one) ?? "";
      const start = path.indexOf(target);
      if (start < 0) visit(target);
      else {
        const circle = [...path.slice(start), target].join(" → ");
        found.push({ rule: "A2", file, line: one.line, message: `a circle of imports: ${circle}` });
      }
    }
    path.pop();
    finished.add(file);
  };
  for (const file of sources.keys()) visit(file);
  return found;
}
