// What a published entry point offers, as declarations: `npm run api-report` writes it to docs/api, a test compares. A change of
// it is a change of the contract, to be made on purpose.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Entry points whose contract has a version of its own. */
const ENTRIES = ["orchestrator"] as const;
type Entry = (typeof ENTRIES)[number];

export function reportPath(entry: Entry): string {
  return join(ROOT, "docs/api", `${entry}.d.ts.txt`);
}

/** Of the package as built: every exported name in the order of the alphabet, without comments and private members. */
export function apiReport(entry: Entry): string {
  const file = join(ROOT, "dist", entry, "index.d.ts");
  const program = ts.createProgram([file], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} is not there: npm run build`);
  const printer = ts.createPrinter({ removeComments: true });
  const declared = checker.getExportsOfModule(module).flatMap((symbol) => {
    const real = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    return (real.declarations ?? []).map((declaration) => {
      // A constant is declared by the statement around it.
      const whole = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
      const text = printer.printNode(ts.EmitHint.Unspecified, whole, whole.getSourceFile());
      return { name: symbol.name, text: text.replace(/^ *#private;\n/gm, "") };
    });
  });
  const sorted = declared.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return `${sorted.map(({ text }) => text).join("\n\n")}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const entry of ENTRIES) {
    mkdirSync(dirname(reportPath(entry)), { recursive: true });
    writeFileSync(reportPath(entry), apiReport(entry));
  }
}
