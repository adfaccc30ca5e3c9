// `run` and `resume`: commands that follow one run to its end, or to the signal that ends the process.

import { serveControl, type ControlServer } from "../control/index.ts";
import {
  isOrchestraError,
  type OrchestraHandle,
  type OrchestraInstance,
  type OrchestraResult,
  type StateManager,
} from "../index.ts";
import { EXIT, exitCodeOfResult, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import type { Loaded } from "./load-file.ts";
import { questionLine } from "./question-line.ts";
import {
  assertStoreExists,
  jsonOrText,
  loadParts,
  natsPlace,
  parseContext,
  readTask,
  requiredFolder,
  runParts,
  storeFolder,
  type CodeFlags,
  type StoreFlags,
  type WatchFlags,
} from "./session-options.ts";
import { untilFree } from "./store-access.ts";

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
  return follow(parts, { ...flags, file }, io, async (instance) => {
    if (flags.session !== undefined && !flags.fresh && isKept(flags, io))
      await assertNotUnderWay(instance, flags.session, { ...flags, file });
    return instance.stream({
      task,
      ...(context !== undefined && { context }),
      ...(flags.session !== undefined && { sessionId: flags.session }),
      ...(flags.fresh !== undefined && { fresh: flags.fresh }),
      ...(flags.maxSteps !== undefined && { maxSteps: flags.maxSteps }),
    });
  });
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
  const isShared = natsPlace(flags, io) !== undefined;
  if (!isShared) assertStoreExists(requiredFolder(flags, io));
  if (!isShared && flags.file === undefined && flags.agents === undefined)
    throw new UsageError("whose agents? Name the file with --file FILE (or only its agents with --agents FILE)");
  const parts = await loadParts(flags.file, flags, io);
  const additionalContext = parseContext(flags.context);
  const userResponse = answersOf(flags.answer);
  return follow(parts, flags, io, (instance) => ({
    sessionId,
    result: instance.resumeSession(sessionId, {
      ...(additionalContext !== undefined && { additionalContext }),
      ...(userResponse !== undefined && { userResponse }),
    }),
  }));
}

// One answer as it stands; several as `question=answer`.
function answersOf(answers: readonly string[] | undefined): unknown {
  if (answers === undefined || answers.length === 0) return undefined;
  return answers.length === 1 && !/^[\w./:@+-]+=/.test(answers[0] ?? "")
    ? jsonOrText(answers[0] ?? "")
    : parseContext(answers);
}

/** `file`: what `orchestra resume` needs to be told. */
type FollowFlags = StoreFlags & CodeFlags & WatchFlags & { readonly json?: boolean; readonly file?: string };

type Begun = Pick<OrchestraHandle, "sessionId" | "result">;

async function follow(
  parts: Loaded,
  flags: FollowFlags,
  io: Io,
  begin: (instance: OrchestraInstance) => Begun | Promise<Begun>,
): Promise<number> {
  let code: number | undefined;
  const interrupted = new AbortController();
  const { instance, stateManager, progress, bus } = await runParts(parts, flags, io, interrupted.signal);
  const stop = io.onSignal((signal) => {
    // The second time somebody means it.
    if (code !== undefined) {
      progress.end();
      return io.exit(code);
    }
    code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
    progress.draining = true;
    progress.write(`${signal}: letting steps in flight finish (once more to stop at once)\n`);
    interrupted.abort();
  });
  const signalled = new Promise<undefined>((resolve) =>
    interrupted.signal.addEventListener("abort", () => resolve(undefined)),
  );
  const control = stateManager === undefined ? undefined : await controlled(instance, stateManager, io);
  try {
    const { sessionId, result: running } = await begin(instance);
    running.catch(() => undefined);
    const result = await Promise.race([running, signalled]);
    if (result === undefined) {
      await instance.drain({ timeoutMs: DRAIN_MS });
      progress.end();
      // It may have come to its end in that time.
      const ended = await running.catch(() => undefined);
      if (ended !== undefined && ended.status !== "paused") report(ended, flags, io);
      else if (isKept(flags, io)) io.err(leftText(sessionId, flags, io));
      return code ?? EXIT.interrupted;
    }
    progress.end();
    report(result, flags, io);
    return exitCodeOfResult(result);
  } finally {
    progress.end();
    stop();
    await control?.close();
    await instance.close();
    await bus?.close();
  }
}

/** Lets `orchestra pause`, `why`, `events --follow` and the like reach the run. Without that it runs all the same. */
export async function controlled(
  instance: OrchestraInstance,
  stateManager: StateManager,
  io: Io,
): Promise<ControlServer | undefined> {
  try {
    return await untilFree(() => serveControl(instance, stateManager));
  } catch (error) {
    if (isOrchestraError(error, "ORCH_BAD_OPTION")) return undefined;
    if (!isOrchestraError(error, "ORCH_CONTROL")) throw error;
    io.err(`this run cannot be steered from outside: ${error.message}`);
    return undefined;
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
    !isKept(flags, io)
      ? "without --store the session ends with this process; with it, or with --ask, the question can be answered"
      : `go on with: ${resumeLine(result.sessionId, questions.length, flags)}`,
  );
}

/** The session outlives this process. */
function isKept(flags: FollowFlags, io: Io): boolean {
  return natsPlace(flags, io) !== undefined || storeFolder(flags, io) !== undefined;
}

function leftText(sessionId: string, flags: FollowFlags, io: Io): string {
  const line = resumeLine(sessionId, 0, flags);
  return natsPlace(flags, io) === undefined
    ? `the session stays in its store; go on with: ${line}`
    : `hosts that serve its agents go on with the session; follow it again with: ${line}`;
}

function resumeLine(sessionId: string, questions: number, { file, agents, store, nats }: FollowFlags): string {
  const told = [
    ...(file === undefined ? [] : ["--file", file]),
    ...(agents === undefined ? [] : ["--agents", agents]),
    ...(store === undefined ? [] : ["--store", store]),
    ...(nats === undefined ? [] : ["--nats", nats]),
    ...(questions === 0 ? [] : ["--answer", questions === 1 ? "TEXT" : "QUESTION=TEXT …"]),
  ];
  return ["orchestra resume", sessionId, ...told].join(" ");
}
