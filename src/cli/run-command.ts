// `run` and `resume`: commands that follow one run to its end, or to the signal that ends the process.

import type { OrchestraInstance, OrchestraResult } from "../index.ts";
import { EXIT, exitCodeOfResult, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { questionLine } from "./question-line.ts";
import {
  assertStoreExists,
  instanceOptions,
  jsonOrText,
  loadParts,
  openInstance,
  parseContext,
  readTask,
  storeFolder,
  type CodeFlags,
  type Progress,
  type StoreFlags,
  type WatchFlags,
} from "./session-options.ts";

const DRAIN_MS = 10_000;

export interface RunFlags extends StoreFlags, CodeFlags, WatchFlags {
  readonly task?: string;
  readonly session?: string;
  readonly fresh?: boolean;
  readonly context?: readonly string[];
  readonly maxSteps?: number;
  readonly json?: boolean;
}

export async function runCommand(file: string, flags: RunFlags, io: Io): Promise<number> {
  const parts = await loadParts(file, flags, io);
  const task = (await readTask(flags.task, io)) ?? parts.task;
  if (task === undefined)
    throw new UsageError("what is the task? Give it with --task TEXT, --task @FILE or --task - (standard input)");
  if (parts.topology === undefined) throw new UsageError(`${file}: it holds no topology`);
  const context = parseContext(flags.context);
  const progress: Progress = { draining: false };
  const instance = openInstance(await instanceOptions(parts, flags, io, progress));
  const begin = async (): Promise<OrchestraResult> => {
    if (flags.session !== undefined && !flags.fresh && storeFolder(flags, io) !== undefined)
      await assertNotUnderWay(instance, flags.session, { ...flags, file });
    return instance.execute({
      task,
      ...(context !== undefined && { context }),
      ...(flags.session !== undefined && { sessionId: flags.session }),
      ...(flags.fresh !== undefined && { fresh: flags.fresh }),
      ...(flags.maxSteps !== undefined && { maxSteps: flags.maxSteps }),
    });
  };
  return follow(instance, begin, { ...flags, file }, io, progress);
}

/** @throws {UsageError} naming the command that goes on with a run that has not ended: a new task would end it. */
async function assertNotUnderWay(instance: OrchestraInstance, sessionId: string, flags: FollowFlags): Promise<void> {
  const status = (await instance.getSession(sessionId))?.status;
  const stands =
    status === "running"
      ? "was interrupted: its process is gone"
      : status === "paused"
        ? "is paused"
        : status === "awaiting_user"
          ? "waits for an answer"
          : undefined;
  if (stands === undefined) return;
  const line = resumeLine(sessionId, status === "awaiting_user" ? 1 : 0, flags);
  throw new UsageError(`session "${sessionId}" ${stands}; go on with: ${line}\n(or start it over with --fresh)`);
}

export interface ResumeFlags extends StoreFlags, CodeFlags, WatchFlags {
  readonly file?: string;
  readonly answer?: readonly string[];
  readonly context?: readonly string[];
  readonly json?: boolean;
}

export async function resumeCommand(sessionId: string, flags: ResumeFlags, io: Io): Promise<number> {
  const folder = storeFolder(flags, io);
  if (folder === undefined)
    throw new UsageError("which store? Name its folder with --store DIR, or in ORCHESTRA_STORE");
  assertStoreExists(folder);
  if (flags.file === undefined && flags.agents === undefined)
    throw new UsageError("whose agents? Name the file with --file FILE (or only its agents with --agents FILE)");
  const parts = await loadParts(flags.file, flags, io);
  const additionalContext = parseContext(flags.context);
  const userResponse = answersOf(flags.answer);
  const progress: Progress = { draining: false };
  const instance = openInstance(await instanceOptions(parts, flags, io, progress));
  const resume = (): Promise<OrchestraResult> =>
    instance.resumeSession(sessionId, {
      ...(additionalContext !== undefined && { additionalContext }),
      ...(userResponse !== undefined && { userResponse }),
    });
  return follow(instance, resume, flags, io, progress);
}

// One answer as it stands; several as `question=answer`.
function answersOf(answers: readonly string[] | undefined): unknown {
  if (answers === undefined || answers.length === 0) return undefined;
  return answers.length === 1 && !/^[\w./:@+-]+=/.test(answers[0] ?? "")
    ? jsonOrText(answers[0] ?? "")
    : parseContext(answers);
}

/** `file`: what `orchestra resume` needs to be told. */
type FollowFlags = StoreFlags & CodeFlags & { readonly json?: boolean; readonly file?: string };

async function follow(
  instance: OrchestraInstance,
  begin: () => Promise<OrchestraResult>,
  flags: FollowFlags,
  io: Io,
  progress: Progress,
): Promise<number> {
  let interrupted: number | undefined;
  let stop: () => void = () => undefined;
  const signalled = new Promise<undefined>((resolve) => {
    stop = io.onSignal((signal) => {
      const code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
      // The second time somebody means it.
      if (interrupted !== undefined) return io.exit(code);
      interrupted = code;
      progress.draining = true;
      io.err(`${signal}: letting steps in flight finish (once more to stop at once)`);
      resolve(undefined);
    });
  });
  try {
    const running = begin();
    running.catch(() => undefined);
    const result = await Promise.race([running, signalled]);
    if (result === undefined) {
      await instance.drain({ timeoutMs: DRAIN_MS });
      if (storeFolder(flags, io) !== undefined)
        io.err('the session stays in its store; "orchestra resume" continues it');
      return interrupted ?? EXIT.interrupted;
    }
    report(result, flags, io);
    return exitCodeOfResult(result);
  } finally {
    stop();
    await instance.close();
  }
}

function report(result: OrchestraResult, flags: FollowFlags, io: Io): void {
  if (flags.json) io.out(JSON.stringify(result, null, 2));
  else if (result.success) io.out(result.getFinalResponseAsText());
  if (result.success && result.metadata.boundsHit.length > 0)
    io.err(`bound reached: ${result.metadata.boundsHit.join(", ")}`);
  if (result.error === null) return;
  if (result.status !== "paused" && result.status !== "awaiting_user") {
    io.err(`${result.status}: ${result.error.code}: ${result.error.message}`);
    return;
  }
  const { questions, pausedReason } = result.metadata;
  io.err(result.status === "paused" ? `paused${pausedReason ? `: ${pausedReason}` : ""}` : "waits for an answer:");
  for (const question of questions) io.err(`  ${questionLine(question)}`);
  io.err(
    storeFolder(flags, io) === undefined
      ? "without --store the session ends with this process; with it, or with --ask, the question can be answered"
      : `go on with: ${resumeLine(result.sessionId, questions.length, flags)}`,
  );
}

function resumeLine(sessionId: string, questions: number, { file, agents, store }: FollowFlags): string {
  const told = [
    ...(file === undefined ? [] : ["--file", file]),
    ...(agents === undefined ? [] : ["--agents", agents]),
    ...(store === undefined ? [] : ["--store", store]),
    ...(questions === 0 ? [] : ["--answer", questions === 1 ? "TEXT" : "QUESTION=TEXT …"]),
  ];
  return ["orchestra resume", sessionId, ...told].join(" ");
}
