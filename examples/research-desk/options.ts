// What the command line says.

import { existsSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import type { ModelOptions } from "./model.ts";

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
  --model NAME      a model puts an answer in plain words above the report; with --base-url
  --base-url URL    where it is, by OpenAI's protocol (Ollama: http://127.0.0.1:11434/v1)
  --key-from VAR    the environment variable with its key, where it needs one
  --price IN/OUT    what a million tokens cost in US dollars, such as 0.15/0.60
  --pace MS         waits so long before each step (default 0; 120 with --crash)
  --json            prints the result as JSON
  --help            this page

Exit code: 0 the report is there, 1 the run failed or --crash found a broken promise,
2 the options are wrong, 130 interrupted.`;

/** A price of tokens, in and out. */
const PRICE = /^(\d+(?:\.\d+)?)\/(\d+(?:\.\d+)?)$/;

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
  readonly model?: ModelOptions;
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
      model: { type: "string" },
      "base-url": { type: "string" },
      "key-from": { type: "string" },
      price: { type: "string" },
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
  const model = modelOf(values);
  return {
    docs,
    label: labelOf(docs, cwd),
    question: values.question ?? DEFAULT_QUESTION,
    store: resolve(cwd, values.store ?? ".orchestra/research-desk"),
    crash: values.crash,
    paceMs,
    json: values.json,
    help: values.help,
    ...(model !== undefined && { model }),
    ...(values.session !== undefined && { session: values.session }),
    ...(values.resume !== undefined && { resume: values.resume }),
    ...(values.witness !== undefined && { witness: values.witness }),
  };
}

/** @throws {TypeError} */
function modelOf(values: {
  readonly model?: string;
  readonly "base-url"?: string;
  readonly "key-from"?: string;
  readonly price?: string;
}): ModelOptions | undefined {
  const { model: name, "base-url": baseUrl, "key-from": keyFrom, price } = values;
  if (name === undefined) {
    if ((baseUrl ?? keyFrom ?? price) !== undefined)
      throw new TypeError("--base-url, --key-from and --price go with --model");
    return undefined;
  }
  if (baseUrl === undefined || !URL.canParse(baseUrl))
    throw new TypeError(`--model: expected a --base-url to go with it, got "${baseUrl ?? ""}"`);
  const prices = price === undefined ? undefined : PRICE.exec(price);
  if (prices === null) throw new TypeError(`--price: expected IN/OUT in US dollars per million tokens, got "${price}"`);
  return {
    name,
    baseUrl,
    ...(keyFrom !== undefined && { keyFrom }),
    ...(prices !== undefined && { price: { input: Number(prices[1]), output: Number(prices[2]) } }),
  };
}

function labelOf(docs: string, cwd: string): string {
  const path = relative(cwd, docs);
  return path === "" ? "." : path.startsWith("..") || isAbsolute(path) ? docs : path;
}
