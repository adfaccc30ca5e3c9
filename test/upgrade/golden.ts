// Golden histories: how the log of a run is written down, and what a version makes of it.
//
// A history is two files: `<name>.export`, the session as it is moved between stores, and `<name>.json`, what it comes
// to: the events and standing of every commit, the result, and, where the run had not ended, what it comes to when it
// goes on. Both are made on a simulated clock, so that nothing depends on the day.

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type InstanceOptions,
  OrchestraError,
  OrchestraInstance,
  memoryStorage,
  StateManager,
} from "../../src/index.ts";
import { why } from "../../src/actors/view.ts";
import { toJsonValue } from "../../src/runtime/result-json.ts";
import { foldLog, foldStart } from "../../src/runtime/log-fold.ts";
import { SimClock, seededRandom } from "../../src/testing/index.ts";
import { GOING_ON, SESSION, type History } from "./histories.ts";

const MINUTE = 60_000;

interface World {
  readonly instance: OrchestraInstance;
  readonly manager: StateManager;
  readonly clock: SimClock;
}

function worldOf({ options }: History, startMs: number): World {
  const clock = new SimClock({ startMs });
  const manager = new StateManager({ storage: memoryStorage() });
  const settings = { ...options, clock, random: seededRandom(7), stateManager: manager };
  return { instance: new OrchestraInstance(settings, { recover: false }), manager, clock };
}

/** Lets time pass until it is told. */
async function inTime<T>(clock: SimClock, telling: Promise<T>): Promise<T> {
  let over = false;
  const ended = telling.finally(() => (over = true));
  ended.catch(() => undefined);
  for (let minutes = 0; !over; minutes++) {
    await clock.settle();
    if (minutes > 500) throw new Error("the run does not come to a stop");
    if (!over && clock.pending().length > 0) await clock.advance(Math.min(MINUTE, clock.pending()[0]!.inMs));
  }
  return ended;
}

/** The log of the run as bytes. */
export async function record(history: History): Promise<Uint8Array> {
  const { instance, manager, clock } = worldOf(history, Date.UTC(2026, 0, 1));
  try {
    const ground = { clock, random: seededRandom(8), stateManager: manager };
    const another = (options: InstanceOptions): OrchestraInstance =>
      new OrchestraInstance({ ...options, ...ground }, { recover: false });
    const told = await inTime(clock, history.tell(instance, another));
    return await manager.exportSession(typeof told === "string" ? told : SESSION);
  } finally {
    await instance.close();
  }
}

/** What this version makes of a log, as text to be compared to the letter. */
export async function replay(history: History, log: Uint8Array): Promise<string> {
  const calm = { ...history, options: { ...history.options, agents: { ...history.options.agents, ...GOING_ON } } };
  const { instance, manager, clock } = worldOf(calm, Date.UTC(2027, 0, 1));
  try {
    const sessionId = await manager.importSession(log);
    const commits = await commitsOf(manager, sessionId);
    const result = (await instance.getResult(sessionId)).toJSON();
    const checkpoints = await instance.listCheckpoints(sessionId);
    const goneOn =
      history.goesOn === undefined
        ? undefined
        : (await inTime(clock, instance.resumeSession(sessionId, history.goesOn))).toJSON();
    return `${JSON.stringify(toJsonValue({ commits, result, checkpoints, ...(goneOn && { goneOn }) }), null, 1)}\n`;
  } finally {
    await instance.close();
  }
}

async function commitsOf(manager: StateManager, sessionId: string): Promise<unknown[]> {
  const lease = await manager.acquire();
  try {
    const told: unknown[] = [];
    for await (const { commit, reduction } of foldLog(
      lease.store,
      sessionId,
      await foldStart(lease.store, sessionId, 0),
    ))
      told.push({
        n: commit.n,
        facts: commit.facts.map((fact) => fact.type),
        // A fact that was taken in once is taken in for ever.
        refused: reduction.refused.map(({ reason }) => reason),
        events: reduction.events,
        standing: why(reduction.state),
        context: reduction.state.context,
        agentState: reduction.state.agentState,
        usage: reduction.state.run?.usage,
      });
    return told;
  } finally {
    await lease.release();
  }
}

/** Writes the histories of one version. @throws {OrchestraError} `ORCH_BAD_OPTION` when the folder is there: what was released is never rewritten. */
export async function writeHistories(folder: string, histories: readonly History[]): Promise<void> {
  const files = new Map<string, Uint8Array | string>();
  for (const history of histories) {
    const log = await record(history);
    if (Buffer.from(log).includes(process.cwd())) throw new Error(`${history.name} tells where it was written`);
    files.set(`${history.name}.export`, log);
    files.set(`${history.name}.json`, await replay(history, log));
  }
  try {
    await mkdir(folder);
  } catch (cause) {
    throw new OrchestraError("ORCH_BAD_OPTION", `${folder}: the histories of a version are written once`, { cause });
  }
  for (const [name, content] of files) await writeFile(join(folder, name), content);
}

export interface KeptHistory {
  readonly name: string;
  readonly log: Uint8Array;
  readonly expected: string;
}

export async function readHistories(folder: string): Promise<KeptHistory[]> {
  const names = (await readdir(folder)).filter((file) => file.endsWith(".export")).map((file) => file.slice(0, -7));
  return Promise.all(
    names.toSorted().map(async (name) => ({
      name,
      log: await readFile(join(folder, `${name}.export`)),
      expected: await readFile(join(folder, `${name}.json`), "utf8"),
    })),
  );
}
