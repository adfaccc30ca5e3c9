// Is a line that a document has its reader type one that the command line knows? Asked of its own help.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { runCli } from "../../src/cli/program.ts";
import { processIo } from "../../src/cli/io.ts";
import { ROOT } from "../package/project.ts";

const NPM_OWN = new Set(["ci", "init", "install", "pack", "test", "start"]);
const ELSEWHERE = new Set(["node", "cat", "echo", "jq", "nats-server"]);

/** The commands in a block of shell lines, without `$ ` of a transcript, comments, redirections, variables and `npx`. */
export function commandsOf(script: string): string[][] {
  return script
    .split("\n")
    .flatMap((line) => wordsOf(line.replace(/^\s*\$ /, "")))
    .filter((words) => words.length > 0);
}

/** The command lines of a transcript, which begin with `$ `. */
export const typedIn = (transcript: string): string =>
  transcript
    .split("\n")
    .filter((line) => line.startsWith("$ "))
    .join("\n");

/** Mentions of `orchestra …` in running text. They may leave arguments out. */
export const mentionedIn = (markdown: string): string[][] =>
  [...markdown.matchAll(/`((?:npx )?orchestra [^`\n]+)`/g)].flatMap(([, line = ""]) => commandsOf(line));

/** What is wrong with one command, or undefined. */
export async function problemOf(
  [program = "", ...args]: readonly string[],
  { mayLeaveOut = false }: { mayLeaveOut?: boolean } = {},
): Promise<string | undefined> {
  if (program === "orchestra") return problemOfOrchestra(args, mayLeaveOut);
  if (program === "npm") return problemOfNpm(args);
  return ELSEWHERE.has(program) ? undefined : `${program}: not a program that documents may ask for`;
}

function problemOfNpm([command = "", script = ""]: readonly string[]): string | undefined {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: object };
  if (command === "run") return script in scripts ? undefined : `npm run ${script}: no such script`;
  if (!NPM_OWN.has(command)) return `npm ${command}: not a command that documents may ask for`;
  return ["test", "start"].includes(command) && !(command in scripts) ? `npm ${command}: no such script` : undefined;
}

async function problemOfOrchestra(
  [first = "", ...others]: readonly string[],
  mayLeaveOut: boolean,
): Promise<string | undefined> {
  if (first.startsWith("-")) return first === "--help" || first === "--version" ? undefined : `orchestra ${first}`;
  const help = await helpOf(first);
  if (help === undefined) return `orchestra ${first}: no such command`;
  const [next = ""] = others;
  if (/^Commands:$/m.test(help) && next !== "" && !next.startsWith("-"))
    return problemOfOrchestra([`${first} ${next}`, ...others.slice(1)], mayLeaveOut);
  const [command, rest] = [first, others];
  const [, usage = ""] = new RegExp(`^Usage: orchestra ${command}(.*)$`, "m").exec(help) ?? [];
  const takes = new Map(
    [...help.matchAll(/^ {2}(?:(-\w), )?(--[\w-]+)(?: ([<[]\S+))?/gm)].flatMap(([, short, long = "", value]) =>
      [short, long].filter((flag) => flag !== undefined).map((flag) => [flag, value] as const),
    ),
  );
  let values = 0;
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i] ?? "";
    if (!word.startsWith("-") || word === "-") {
      values++;
      continue;
    }
    if (!takes.has(word)) return `orchestra ${command}: no option ${word}`;
    if (takes.get(word) === undefined) continue;
    if (!mayLeaveOut && (rest[i + 1] === undefined || rest[i + 1]?.startsWith("--")))
      return `orchestra ${command}: ${word} without a value`;
    i++;
    while (takes.get(word)?.includes("...") && rest[i + 1] !== undefined && !rest[i + 1]?.startsWith("-")) i++;
  }
  const least = [...usage.matchAll(/<[^>]+>/g)].length;
  const most = usage.includes("...") ? Infinity : least + [...usage.matchAll(/\[(?!options\])[^\]]+\]/g)].length;
  return (values < least && !mayLeaveOut) || values > most
    ? `orchestra ${command}: ${values} arguments; expected${usage}`
    : undefined;
}

const helps = new Map<string, Promise<string | undefined>>();

function helpOf(command: string): Promise<string | undefined> {
  const known = helps.get(command) ?? readHelp(command);
  helps.set(command, known);
  return known;
}

async function readHelp(command: string): Promise<string | undefined> {
  let help = "";
  const code = await runCli([...command.split(" "), "--help"], {
    ...processIo(),
    out: (text) => (help += text),
    err: () => {},
  });
  return code === 0 && help.startsWith(`Usage: orchestra ${command}`) ? help : undefined;
}

function wordsOf(line: string): string[][] {
  const commands: string[][] = [[]];
  let redirected = false;
  for (const [token] of line.matchAll(
    /"(?:\\.|[^"])*"|'[^']*'|&&|\|\|?|;|\d?>&\d|\d?>{1,2}|(?:^|\s)#.*|&|[^\s"'|;&>]+/g,
  )) {
    const word = token.trim();
    if (word.startsWith("#")) break;
    if (/^(?:&&|\|\|?|;|&)$/.test(word)) commands.push([]);
    else if (/^\d?>{1,2}$/.test(word)) redirected = true;
    else if (redirected) redirected = false;
    else if (!/^\d?>&\d$/.test(word)) commands.at(-1)?.push(word.replace(/^(["'])(.*)\1$/s, "$2"));
  }
  return commands.map((words) => {
    const named = words.slice(
      Math.max(
        0,
        words.findIndex((word) => !/^\w+=/.test(word)),
      ),
    );
    return named[0] === "npx" ? named.slice(1) : named;
  });
}
