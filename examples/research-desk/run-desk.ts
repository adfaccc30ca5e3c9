// One run of the desk: started or resumed, watched, and told.

import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";

import { LevelStorage, OrchestraInstance, StateManager, type AgentFunction, type OrchestraResult } from "orchestra";

import type { DeskTask, Report } from "./desk.ts";
import { openModel, type ModelOptions } from "./model.ts";
import type { DeskOptions } from "./options.ts";
import { hasEnded, progressLine } from "./progress.ts";
import { createTeam } from "./team.ts";
import { timingsOf, timingsTable } from "./timings.ts";
import { researchDesk, researchDeskWithEditor } from "./topology.ts";

/** Agent steps a run takes at most: three rounds of the lead and its analysts, three drafts, and the rest once. */
const STEPS_MAX = 60;

/** Interrupted sessions that are named. */
const NAMED_MAX = 5;

/** Goes on with no interrupted session by itself: a desk does the one session it was asked for. */
export async function openDesk({
  store,
  paceMs,
  witness,
  model,
}: Pick<DeskOptions, "store" | "paceMs" | "witness" | "model">): Promise<OrchestraInstance> {
  const onStart =
    witness === undefined
      ? {}
      : {
          onStart: (sessionId: string, node: string, stepId: string) =>
            appendFileSync(witness, `${JSON.stringify({ pid: process.pid, sessionId, node, stepId })}\n`),
        };
  const team = createTeam({ paceMs, ...onStart });
  return new OrchestraInstance(
    {
      topology: model === undefined ? researchDesk : researchDeskWithEditor,
      agents: model === undefined ? team : { ...team, Editor: await editorOf(model) },
      stateManager: new StateManager({ storage: new LevelStorage(store) }),
      maxSteps: STEPS_MAX,
    },
    { recover: false },
  );
}

/** Loaded where there is a model: without one the desk needs no package for any. */
async function editorOf(model: ModelOptions): Promise<AgentFunction> {
  const { createEditor } = await import("./agents/editor.ts");
  return createEditor(await openModel(model), model.price);
}

/** Runs to the end, with progress on standard error and the report on standard output. The exit code. */
export async function runDesk(options: DeskOptions): Promise<number> {
  const desk = await openDesk(options);
  const sessionId = options.resume ?? options.session ?? `desk-${randomUUID().slice(0, 8)}`;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    void desk.close();
  };
  process.once("SIGINT", stop);
  try {
    report(interruptedLine(await interrupted(desk, sessionId)));
    const result = options.resume === undefined ? await start(desk, sessionId, options) : await resume(desk, sessionId);
    show(result, options);
    return result.success ? 0 : 1;
  } catch (error) {
    if (!stopped) throw error;
    console.error(`interrupted; finished steps are kept, go on with --resume ${sessionId}`);
    return 130;
  } finally {
    process.off("SIGINT", stop);
    await desk.close();
  }
}

async function start(
  desk: OrchestraInstance,
  sessionId: string,
  { docs, label, question }: DeskOptions,
): Promise<OrchestraResult> {
  const task: DeskTask = { docs, label, question };
  const run = desk.stream({ task, sessionId });
  console.error(`session ${sessionId}\n“${question}”\nover ${label}\n`);
  for await (const event of run) report(progressLine(event));
  return run.result;
}

async function resume(desk: OrchestraInstance, sessionId: string): Promise<OrchestraResult> {
  const found = await desk.getSession(sessionId);
  if (found === null) throw new Error(`there is no session ${sessionId} in this store`);
  console.error(`session ${sessionId} goes on\n`);
  if (found.status === "completed" || found.status === "failed" || found.status === "cancelled")
    return desk.getResult(sessionId);
  // What the log holds already was shown by the process that did it.
  const sinceMs = Date.now();
  const watching = watch(desk, sessionId, sinceMs);
  const result = await desk.resumeSession(sessionId);
  await watching;
  return result;
}

async function watch(desk: OrchestraInstance, sessionId: string, sinceMs: number): Promise<void> {
  for await (const event of desk.events(sessionId)) {
    if (event.at >= sinceMs) report(progressLine(event));
    else if (event.type === "step.succeeded") report(`· ${event.node.padEnd(18)} is in the log`);
    if (hasEnded(event) && event.type !== "run.paused") return;
  }
}

/** Other sessions of the store that have not ended. */
async function interrupted(desk: OrchestraInstance, sessionId: string): Promise<string[]> {
  const [running, paused] = [
    await desk.listSessions({ status: "running" }),
    await desk.listSessions({ status: "paused" }),
  ];
  return [...running, ...paused].map((session) => session.sessionId).filter((id) => id !== sessionId);
}

function interruptedLine(ids: readonly string[]): string | undefined {
  if (ids.length === 0) return undefined;
  const more = ids.length > NAMED_MAX ? ` and ${ids.length - NAMED_MAX} more` : "";
  return `interrupted earlier and left alone: ${ids.slice(0, NAMED_MAX).join(", ")}${more}; go on with --resume ID\n`;
}

function report(line: string | undefined): void {
  if (line !== undefined) console.error(line);
}

function show(result: OrchestraResult, { store, json, model }: DeskOptions): void {
  const timings = timingsOf(result.getExecutionTrace());
  if (json) {
    console.log(
      JSON.stringify(
        {
          sessionId: result.sessionId,
          status: result.status,
          error: result.error,
          report: result.finalResponse,
          steps: result.totalSteps,
          timings,
          boundsHit: result.metadata.boundsHit,
          usage: result.metadata.usage,
          store,
        },
        null,
        2,
      ),
    );
    return;
  }
  if (result.success) console.log(`\n${(result.finalResponse as Report).markdown}`);
  else console.error(`\n${result.status}: ${result.error?.message ?? "no reason given"}`);
  console.log(`Where the time went\n\n${timingsTable(timings)}\n`);
  if (model !== undefined) console.log(`${usageLine(model, result)}\n`);
  console.log(
    `Session ${result.sessionId}, ${result.totalSteps} steps, durability ${result.metadata.durability}, kept in ${store}`,
  );
}

function usageLine({ name, price }: ModelOptions, { metadata: { usage } }: OrchestraResult): string {
  const { apiCalls, inputTokens, outputTokens, costUsd } = usage;
  const cost = price === undefined ? "cost unknown (--price)" : `$${costUsd.toFixed(6)}`;
  const calls = `${apiCalls} call${apiCalls === 1 ? "" : "s"}`;
  return `Model ${name}: ${calls}, ${inputTokens} tokens in, ${outputTokens} out, ${cost}`;
}
