// Crash: the desk killed in mid-run, started again, and what the log says about it.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import type { RunEvent } from "orchestra";

import { evidenceText, judgeRecovery, type Start } from "./evidence-of-recovery.ts";
import type { ModelOptions } from "./model.ts";
import type { DeskOptions } from "./options.ts";
import { finishedStep, hasEnded } from "./progress.ts";
import { openDesk } from "./run-desk.ts";

/** Steps the first process may finish: in the midst of the analysts, with some done and some not. */
const KILL_AFTER_STEPS = 6;

/** The exit code: 0 when the second process ended well and no promise was broken. */
export async function crashDemo(options: DeskOptions): Promise<number> {
  const session = options.session ?? `crash-${randomUUID().slice(0, 8)}`;
  const witness = join(options.store, `${session}.starts.jsonl`);
  await mkdir(options.store, { recursive: true });
  try {
    const killed = await runAndKill({ ...options, session, witness });
    if (killed === undefined) return 1;
    console.error(
      `\n— process ${killed.pid} killed with SIGKILL after ${killed.shown.length} finished steps; starting again —\n`,
    );
    const code = await runAgain({ ...options, resume: session, witness });
    if (code !== 0) return code;
    const events = await readEvents(options, session);
    const evidence = judgeRecovery(events, await readStarts(witness), { sessionId: session, ...killed });
    const tell = options.json ? console.error : console.log;
    tell(`\nEvidence from the log of session ${session}\n\n${evidenceText(evidence)}`);
    return evidence.violations.length === 0 ? 0 : 1;
  } finally {
    await rm(witness, { force: true });
  }
}

async function runAndKill(options: DeskOptions): Promise<{ pid: number; shown: string[] } | undefined> {
  const child = launch(options, ["ignore", "ignore", "pipe"]);
  const shown: string[] = [];
  const exited = once(child, "exit");
  if (child.stderr === null || child.pid === undefined) throw new Error("the desk could not be started");
  let killing = false;
  for await (const line of createInterface({ input: child.stderr })) {
    console.error(line);
    const step = finishedStep(line);
    if (step !== undefined) shown.push(step.stepId);
    if (shown.length >= KILL_AFTER_STEPS && !killing) killing = child.kill("SIGKILL");
  }
  const [code, signal] = (await exited) as [number | null, NodeJS.Signals | null];
  if (signal === "SIGKILL") return { pid: child.pid, shown };
  console.error(`the desk ended (exit code ${code}) before it could be killed; --pace gives it more time`);
  return undefined;
}

async function runAgain(options: DeskOptions): Promise<number> {
  const child = launch(options, ["ignore", "inherit", "inherit"]);
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

function launch(options: DeskOptions, stdio: ("ignore" | "pipe" | "inherit")[]): ChildProcess {
  const { docs, question, store, session, resume, witness, paceMs, json, model } = options;
  const which =
    resume === undefined ? ["--docs", docs, "--question", question, "--session", session ?? ""] : ["--resume", resume];
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const args = [
    ...process.execArgv,
    main,
    ...which,
    "--store",
    store,
    "--pace",
    String(paceMs),
    ...(witness === undefined ? [] : ["--witness", witness]),
    ...(json ? ["--json"] : []),
    ...(model === undefined ? [] : modelArgs(model)),
  ];
  return spawn(process.execPath, args, { stdio });
}

function modelArgs({ name, baseUrl, keyFrom, price }: ModelOptions): string[] {
  return [
    "--model",
    name,
    "--base-url",
    baseUrl,
    ...(keyFrom === undefined ? [] : ["--key-from", keyFrom]),
    ...(price === undefined ? [] : ["--price", `${price.input}/${price.output}`]),
  ];
}

async function readEvents(options: DeskOptions, session: string): Promise<RunEvent[]> {
  const desk = await openDesk({ store: options.store, paceMs: 0 });
  try {
    const events: RunEvent[] = [];
    for await (const event of desk.events(session)) {
      events.push(event);
      if (hasEnded(event) && event.type !== "run.paused") break;
    }
    return events;
  } finally {
    await desk.close();
  }
}

async function readStarts(witness: string): Promise<Start[]> {
  const lines = (await readFile(witness, "utf8")).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Start);
}
