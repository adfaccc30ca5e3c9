// Process group
//
// Owns:      one program that was started, every process it starts in its group, and their end.
// Crossing:  spawn → chunks → exit → the group is ended → ProcessEnd.
//
// G1  The program leads a group of its own, so that one signal reaches it and what it started.
// G2  It is over when nothing of the group is left: what its leader leaves behind is told to end (SIGTERM), and killed
//     (SIGKILL) when it does not within the grace.
// G3  It ends on every way: by itself, by its time limit, by the abort signal, and when this process dies (orphan-watch.ts).

import { spawn, type ChildProcess } from "node:child_process";

import { sleep, type Clock } from "../../base/clock.ts";
import { killMarked } from "./marked-processes.ts";
import { watchForOrphans } from "./orphan-watch.ts";

export interface ProcessSpec {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string | Uint8Array | undefined;
  readonly timeoutMs: number | false;
  readonly killGraceMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Is in the environment of everything the program starts; finds what left the group. */
  readonly mark: string;
  readonly onOutput: (stream: "stdout" | "stderr", bytes: Uint8Array) => void;
  readonly onStarted: (pid: number) => void;
}

export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly tookMs: number;
  /** Who ended it. */
  readonly by: "itself" | "timeout" | "abort";
}

const POLL_MS = 25;
/** Those that were killed still count until somebody collects them, which in some containers nobody does. */
const DYING_MS = 500;
/** What outlived its group and holds our pipes: looked for after this, let go of after `PIPES_MAX_MS`. */
const PIPES_LOOK_MS = 250;
const PIPES_MAX_MS = 2_000;

/** Rejects with Node's own error when the program cannot be started. */
export async function runProcess(spec: ProcessSpec): Promise<ProcessEnd> {
  const { clock, signal, timeoutMs, killGraceMs } = spec;
  const startedAtMs = clock.monotonicMs();
  const child = spawn(spec.program, [...spec.args], {
    detached: true,
    shell: false,
    stdio: "pipe",
    env: { ...spec.env },
    ...(spec.cwd !== undefined && { cwd: spec.cwd }),
  });
  const pid = await startedPid(child);
  const callOff = watchForOrphans(pid, killGraceMs);
  spec.onStarted(pid);
  child.stdout?.on("data", (bytes: Uint8Array) => spec.onOutput("stdout", bytes));
  child.stderr?.on("data", (bytes: Uint8Array) => spec.onOutput("stderr", bytes));
  feed(child, spec.stdin);

  let by: ProcessEnd["by"] = "itself";
  let ending: Promise<void> | undefined;
  const endGroup = (): Promise<void> => (ending ??= endOf(pid, killGraceMs, clock));
  let exited = false;
  const stop = (why: "timeout" | "abort"): void => {
    if (by === "itself" && !exited) by = why;
    void endGroup();
  };
  const exit = new Promise<Pick<ProcessEnd, "exitCode" | "signal">>((resolve) =>
    child.once("exit", (exitCode, killedBy) => {
      exited = true;
      resolve({ exitCode, signal: killedBy });
    }),
  );
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const onAbort = (): void => stop("abort");
  const disarm = timeoutMs === false ? undefined : clock.setTimer(timeoutMs, () => stop("timeout"));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const end = await exit;
    await endGroup();
    if (by !== "itself") await killMarked(spec.mark);
    await closedPipes(child, closed, spec);
    return { ...end, by, tookMs: Math.round(clock.monotonicMs() - startedAtMs) };
  } finally {
    disarm?.();
    signal.removeEventListener("abort", onAbort);
    callOff();
  }
}

function startedPid(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", () => {
      child.off("error", reject);
      // Later ones are of signals that came too late.
      child.on("error", () => undefined);
      resolve(child.pid as number);
    });
  });
}

function feed(child: ChildProcess, input: string | Uint8Array | undefined): void {
  // A program need not read what it is given; then the pipe breaks, which is no failure of ours.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
}

/** G2. Returns at once where nothing is left. */
async function endOf(pgid: number, killGraceMs: number, clock: Clock): Promise<void> {
  if (!signalGroup(pgid, "SIGTERM")) return;
  if (await isGone(pgid, killGraceMs, clock)) return;
  signalGroup(pgid, "SIGKILL");
  await isGone(pgid, DYING_MS, clock);
}

async function isGone(pgid: number, withinMs: number, clock: Clock): Promise<boolean> {
  for (const untilMs = clock.monotonicMs() + withinMs; clock.monotonicMs() < untilMs;) {
    await sleep(clock, POLL_MS);
    if (!signalGroup(pgid, 0)) return true;
  }
  return false;
}

/** False when no process of the group is left. */
function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pgid, signal);
  } catch {
    // ESRCH; or EPERM, which is what macOS says of a group whose members are dead and not yet collected.
    return false;
  }
}

async function closedPipes(child: ChildProcess, closed: Promise<void>, { clock, mark }: ProcessSpec): Promise<void> {
  if (await within(clock, PIPES_LOOK_MS, closed)) return;
  await killMarked(mark);
  if (await within(clock, PIPES_MAX_MS, closed)) return;
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
}

async function within(clock: Clock, ms: number, done: Promise<void>): Promise<boolean> {
  let cancel = (): void => undefined;
  const late = new Promise<false>((resolve) => (cancel = clock.setTimer(ms, () => resolve(false))));
  const inTime = await Promise.race([done.then(() => true as const), late]);
  cancel();
  return inTime;
}
