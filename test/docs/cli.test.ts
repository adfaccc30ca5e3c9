// docs/cli.md against the program, both ways: commands, arguments, options, exit codes.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { EXIT } from "../../src/cli/exit-code.ts";
import { processIo } from "../../src/cli/io.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { ROOT } from "../package/project.ts";

const page = readFileSync(join(ROOT, "docs/cli.md"), "utf8");
const sections = new Map(
  page
    .split(/^### orchestra /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf("\n")).trim(), section.split(/^## /m)[0] ?? ""]),
);
const everywhere = ["--store <dir>", "--nats <urls>", "--json"];

const commands = buildProgram(processIo(), () => undefined).commands.map((command) => {
  const places = command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`));
  return {
    name: command.name(),
    usage: [command.name(), ...places].join(" "),
    flags: command.options.map((option) => option.flags),
    help: () => {
      let text = "";
      command.configureOutput({ writeOut: (part) => void (text += part) }).outputHelp();
      return text;
    },
  };
});

describe("docs/cli.md", () => {
  it("has a section for every command, and for no other", () => {
    expect([...sections.keys()].toSorted()).toEqual(commands.map(({ usage }) => usage).toSorted());
  });

  it.each(commands)("lists the options of $name, and no other, with an example", ({ name, usage, flags }) => {
    const section = sections.get(usage) ?? "";
    const listed = [...section.matchAll(/^\| `(-[^`]+)` \|/gm)].map(([, flag]) => flag);
    expect(listed.toSorted()).toEqual(flags.filter((flag) => !everywhere.includes(flag)).toSorted());
    const takes = [...(/^Takes (`.*)\.$/m.exec(section)?.[1] ?? "").matchAll(/`(--\w+)`/g)].map(([, flag]) => flag);
    expect(takes).toEqual(everywhere.filter((flag) => flags.includes(flag)).map((flag) => flag.split(" ")[0]));
    expect(section).toMatch(new RegExp(`\`\`\`sh\\n[^]*orchestra ${name} `));
  });

  it("lists every exit code", () => {
    const listed = [...page.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, codes = ""]) => codes.split(",").map(Number));
    expect(listed.toSorted()).toEqual(Object.values(EXIT).toSorted());
  });
});

it.each(commands)("orchestra $name --help teaches by an example", ({ name, help }) => {
  expect(help()).toMatch(new RegExp(`Examples?:\\n[^]*orchestra ${name} `));
});
