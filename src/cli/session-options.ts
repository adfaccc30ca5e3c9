// Options that several commands share, and the instance they come to.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

import {
  LevelStorage,
  NORMAL,
  OrchestraInstance,
  QUIET,
  StateManager,
  StatusConfig,
  VERBOSE,
  terminalChannel,
  type Channel,
  type ErrorData,
  type Logger,
} from "../index.ts";
import type { NatsBus, NatsConnectOptions } from "../nats/index.ts";
import { UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { isOwnFrame } from "./load-problem.ts";
import { loadAgents, loadFile, type Loaded } from "./load-file.ts";
import { loadNats, natsOptions } from "./nats-options.ts";
import { Progress } from "./progress.ts";

export interface StoreFlags {
  readonly store?: string;
  readonly nats?: string;
}
export interface CodeFlags {
  readonly agents?: string;
}
export interface WatchFlags {
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly log?: string;
  readonly ask?: boolean;
}

/** `--nats`, or ORCHESTRA_NATS where no store is named. @throws {UsageError} when both are. */
export function natsPlace({ store, nats }: StoreFlags, io: Io): NatsConnectOptions | undefined {
  if (store !== undefined && nats !== undefined)
    throw new UsageError("--store and --nats: sessions are in one place or the other");
  return store === undefined ? natsOptions(nats === undefined ? {} : { nats }, io) : undefined;
}

/** `--store`, else the variable ORCHESTRA_STORE; nothing where sessions are on NATS. */
export function storeFolder({ store, nats }: StoreFlags, io: Io): string | undefined {
  if (natsPlace({ ...(store !== undefined && { store }), ...(nats !== undefined && { nats }) }, io) !== undefined)
    return undefined;
  const folder = store ?? io.env["ORCHESTRA_STORE"];
  return folder === undefined || folder === "" ? undefined : resolve(io.cwd, folder);
}

/** @throws {UsageError} */
export function requiredFolder(flags: StoreFlags, io: Io): string {
  const folder = storeFolder(flags, io);
  if (folder === undefined)
    throw new UsageError("which store? Name its folder with --store DIR, or in ORCHESTRA_STORE");
  return folder;
}

/** @throws {UsageError} */
export function assertStoreExists(folder: string): void {
  if (!existsSync(folder)) throw new UsageError(`there is no store in ${folder}`);
}

/** The store to look into. @throws {UsageError} when none is named, or there is none: looking makes no folder. */
export function requiredStore(flags: StoreFlags, io: Io): StateManager {
  const folder = requiredFolder(flags, io);
  assertStoreExists(folder);
  return new StateManager({ storage: new LevelStorage(folder) });
}

/** The parts of FILE, with the agents of `--agents` over its own. */
export async function loadParts(file: string | undefined, { agents }: CodeFlags, io: Io): Promise<Loaded> {
  const own: Loaded = file === undefined ? {} : await loadFile(file, io.cwd);
  const given = agents === undefined ? {} : await loadAgents(agents, io.cwd);
  return {
    ...own,
    ...given,
    ...(own.conditions && given.conditions && { conditions: { ...own.conditions, ...given.conditions } }),
  };
}

/** What a run on the command line is made of. */
export interface RunParts {
  readonly instance: OrchestraInstance;
  readonly stateManager: StateManager | undefined;
  readonly progress: Progress;
  /** To be closed after the instance. */
  readonly bus: NatsBus | undefined;
}

export async function runParts(
  parts: Loaded,
  flags: StoreFlags & WatchFlags,
  io: Io,
  interrupted: AbortSignal,
): Promise<RunParts> {
  const progress = new Progress(io, { quiet: flags.quiet === true });
  const folder = storeFolder(flags, io);
  const stateManager =
    folder === undefined ? parts.options?.stateManager : new StateManager({ storage: new LevelStorage(folder) });
  const place = natsPlace(flags, io);
  const bus = place === undefined ? undefined : (await loadNats()).natsBus(place);
  const verbosity = flags.quiet ? QUIET : flags.verbose ? VERBOSE : NORMAL;
  const instance = new OrchestraInstance(
    {
      ...parts.options,
      ...(parts.topology !== undefined && { topology: parts.topology }),
      ...(parts.agents !== undefined && { agents: parts.agents }),
      ...(parts.conditions !== undefined && { conditions: parts.conditions }),
      ...(stateManager !== undefined && { stateManager }),
      ...(bus !== undefined && { bus }),
      ...(parts.options?.communicationManager === undefined && {
        communicationConfig: parts.options?.communicationConfig ?? {
          channel: channelOf(flags, io, progress, interrupted) ?? "none",
        },
      }),
      initialConfig: {
        status: StatusConfig.fromVerbosity(verbosity, {
          output: progress,
          shows: (event) => progress.shows(event, verbosity === VERBOSE),
        }),
        ...parts.options?.initialConfig,
      },
      ...(await loggerOption(flags, progress)),
    },
    { recover: false },
  );
  return { instance, stateManager, progress, bus };
}

/** People are asked on the terminal, or, with `--ask`, by lines on standard input. */
function channelOf({ ask }: WatchFlags, io: Io, progress: Progress, interrupted: AbortSignal): Channel | undefined {
  if (ask === false || (ask !== true && !io.stdin.isTTY)) return undefined;
  const terminal = terminalChannel({ input: io.stdin });
  return {
    ...terminal,
    async ask(question, signal) {
      await progress.upTo(question.questionId);
      progress.hold();
      try {
        return await terminal.ask(question, AbortSignal.any([signal, interrupted]));
      } finally {
        progress.release();
      }
    },
  };
}

async function loggerOption({ log, verbose }: WatchFlags, progress: Progress): Promise<{ logger?: Logger }> {
  if (log !== undefined) return { logger: await levelLogger(log) };
  return verbose ? { logger: failureLogger(progress) } : {};
}

/** @throws {UsageError} for a level that is none. */
export async function levelLogger(level: string): Promise<Logger> {
  const { pino } = await import("pino");
  if (!(level in pino.levels.values))
    throw new UsageError(`--log ${level}: expected one of ${Object.keys(pino.levels.values).join(", ")}`);
  const logger: Logger = pino({ level, base: null }, pino.destination({ dest: 2, sync: true }));
  return logger;
}

/** Shows where the errors of agents were thrown, which is in no event. */
function failureLogger(progress: Progress): Logger {
  const show = ({ stepId, attempt, error }: Record<string, unknown>): void => {
    const stack = isErrorData(error) ? error.stack : undefined;
    if (typeof stepId !== "string" || typeof attempt !== "number" || stack === undefined) return;
    const frames = stack.split("\n").filter((line) => !isOwnFrame(line));
    progress.failedAt(stepId, attempt, frames.map((line) => `      ${line}\n`).join(""));
  };
  const logger: Logger = { debug: show, info: show, warn: show, error: show, child: () => logger };
  return logger;
}

function isErrorData(value: unknown): value is ErrorData {
  return typeof value === "object" && value !== null && "code" in value && "message" in value;
}

/** `key=value` pairs; a value that is JSON is taken as such. */
export function parseContext(pairs: readonly string[] | undefined): Record<string, unknown> | undefined {
  if (pairs === undefined || pairs.length === 0) return undefined;
  return pairsOf("--context", pairs);
}

/** `key=value`; JSON values are taken as such. @throws {UsageError} */
export function pairsOf(option: string, pairs: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at <= 0) throw new UsageError(`${option} ${pair}: expected key=value`);
      return [pair.slice(0, at), jsonOrText(pair.slice(at + 1))];
    }),
  );
}

export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The task: text as it is, a JSON object as an object, `@FILE` the file's, `-` that of standard input. */
export async function readTask(
  task: string | undefined,
  io: Io,
): Promise<string | Record<string, unknown> | undefined> {
  if (task === undefined) return undefined;
  const text =
    task === "-" ? await readAll(io.stdin) : task.startsWith("@") ? await readFileOf(task.slice(1), io) : task;
  if (!/^\s*\{/.test(text)) return text;
  const value = jsonOrText(text);
  return typeof value === "object" && value !== null ? { ...value } : text;
}

async function readFileOf(path: string, io: Io): Promise<string> {
  try {
    return await readFile(resolve(io.cwd, path), "utf8");
  } catch (error) {
    throw new UsageError(`--task @${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

export async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as string | Uint8Array));
  return Buffer.concat(chunks).toString("utf8").trimEnd();
}
