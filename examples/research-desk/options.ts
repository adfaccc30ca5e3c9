// What the command line says.

import { existsSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

export const HELP = `Usage: npm start -- [options]

A team of agents answers a question over a folder of documents, with citations.

  --docs DIR        the folder (default: the installed dependencies, node_modules)
  --question TEXT   the question (default: which of them keep or move data, under which
                    licence, and what do they promise about crashes?)
  --store DIR       where sessions are kept (default: .orchestra/research-desk)
  --session ID      names the session (default: a new one)
  --resume ID       goes on with a session that was interrupted, and shows its report
  --crash           kills the desk with SIGKILL in mid-run, starts it again, and shows
                    from the log that no finished step ran twice
  --pace MS         waits so long before each step (default 0; 120 with --crash)
  --json            prints the result as JSON
  --help            this page

Exit code: 0 the report is there, 1 the run failed or --crash found a broken promise,
2 the options are wrong, 130 interrupted.`;

const DEFAULT_QUESTION =
  "Which of the installed dependencies keep or move data, under which licence, and what do they promise about crashes?";
const CRASH_PACE_MS = 120;

export interface DeskOptions {
  readonly docs: string;
  /** The folder as citations show it: relative to the working directory where that is shorter to read. */
  readonly label: string;
  readonly question: string;
  readonly store: string;
  readonly session?: string;
  readonly resume?: string;
  /** Where each start of an agent is noted, for `--crash`. */
  readonly witness?: string;
  readonly crash: boolean;
  readonly paceMs: number;
  readonly json: boolean;
  readonly help: boolean;
}

/** @throws {TypeError} saying which option is wrong. */
export function parseOptions(args: readonly string[], cwd: string): DeskOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      docs: { type: "string" },
      question: { type: "string" },
      store: { type: "string" },
      session: { type: "string" },
      resume: { type: "string" },
      witness: { type: "string" },
      crash: { type: "boolean", default: false },
      pace: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const docs =
    values.docs === undefined
      ? fileURLToPath(new URL("../../node_modules", import.meta.url))
      : resolve(cwd, values.docs);
  if (!values.help && !existsSync(docs)) throw new TypeError(`--docs: there is no folder ${docs}`);
  if (values.docs !== undefined && values.question === undefined && values.resume === undefined)
    throw new TypeError("--docs: expected a --question to go with it");
  if (values.question?.trim() === "") throw new TypeError("--question: expected some words");
  if (values.crash && values.resume !== undefined)
    throw new TypeError("--crash starts a session of its own; it does not go with --resume");
  const paceMs = values.pace === undefined ? (values.crash ? CRASH_PACE_MS : 0) : Number(values.pace);
  if (!Number.isInteger(paceMs) || paceMs < 0)
    throw new TypeError(`--pace: expected whole milliseconds, got "${values.pace}"`);
  return {
    docs,
    label: labelOf(docs, cwd),
    question: values.question ?? DEFAULT_QUESTION,
    store: resolve(cwd, values.store ?? ".orchestra/research-desk"),
    crash: values.crash,
    paceMs,
    json: values.json,
    help: values.help,
    ...(values.session !== undefined && { session: values.session }),
    ...(values.resume !== undefined && { resume: values.resume }),
    ...(values.witness !== undefined && { witness: values.witness }),
  };
}

function labelOf(docs: string, cwd: string): string {
  const path = relative(cwd, docs);
  return path === "" ? "." : path.startsWith("..") || isAbsolute(path) ? docs : path;
}
