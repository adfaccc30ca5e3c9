// A process of the storm: an owner, a worker, a program with agents that runs sessions, or a client without any.
//
// What it does it writes down at once, a line of JSON each, where its death does not take it along.

import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { OrchestraHost, OrchestraInstance, type OrchestraResult } from "../../src/index.ts";
import { natsBus } from "../../src/nats/index.ts";
import { agentsOf, TOPOLOGY } from "./workload.ts";

export interface ChildOptions {
  readonly role: "owner" | "worker" | "program" | "client";
  readonly name: string;
  readonly servers: readonly string[];
  /** What it appends to; an earlier life of the same name wrote there, too. */
  readonly diary: string;
  /** Begins nothing new once this file exists. */
  readonly calm: string;
  readonly renewMs: number;
  readonly ackWaitMs: number;
  readonly localFirst: boolean;
  readonly slots: number;
  /** The longest that a step works. */
  readonly workMs: number;
  /** Sessions a program or client has under way at a time. */
  readonly inFlight: number;
}

/** A line of a diary. */
export type Entry =
  | { readonly type: "ready" }
  | { readonly type: "started"; readonly sessionId: string; readonly stepId: string; readonly attempt: number }
  | { readonly type: "asked"; readonly sessionId: string }
  | { readonly type: "told"; readonly sessionId: string; readonly result: unknown }
  | { readonly type: "refused"; readonly sessionId: string; readonly code: string; readonly message: string };

export function entriesOf(diary: string): Entry[] {
  if (!existsSync(diary)) return [];
  // The last line may be half a line.
  const lines = readFileSync(diary, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Entry);
}

const ASK_AGAIN_MS = 500;

export async function live(options: ChildOptions): Promise<void> {
  const earlier = entriesOf(options.diary);
  const file = openSync(options.diary, "a");
  const note = (entry: Entry): void => void writeSync(file, `${JSON.stringify(entry)}\n`);
  const { servers, renewMs, ackWaitMs, localFirst, slots, role } = options;
  const bus = natsBus({ servers, renewMs, ackWaitMs, localFirst, maxDelivery: 50 });
  const agents = agentsOf(options.workMs, ({ sessionId, stepId, attempt }) =>
    note({ type: "started", sessionId, stepId, attempt }),
  );
  if (role === "owner" || role === "worker") {
    const host = new OrchestraHost({ bus, agents, slots, adopt: role === "owner" });
    await patiently(() => host.start());
    note({ type: "ready" });
    return;
  }
  const instance = new OrchestraInstance({
    bus,
    topology: TOPOLOGY,
    unserved: "wait",
    ...(role === "program" && { agents }),
  });
  note({ type: "ready" });
  await ask(instance, options, earlier, note);
  await instance.close();
  await bus.close();
  closeSync(file);
}

/** Asks for one session after another, those first that an earlier life was not told the end of. */
async function ask(
  instance: OrchestraInstance,
  { name, calm, inFlight }: ChildOptions,
  earlier: readonly Entry[],
  note: (entry: Entry) => void,
): Promise<void> {
  const told = new Set(earlier.flatMap((entry) => (entry.type === "told" ? [entry.sessionId] : [])));
  const asked = new Set(earlier.flatMap((entry) => (entry.type === "asked" ? [entry.sessionId] : [])));
  const open = [...asked].filter((sessionId) => !told.has(sessionId));
  let next = asked.size;
  const line = async (): Promise<void> => {
    for (;;) {
      let sessionId = open.pop();
      if (sessionId === undefined) {
        if (existsSync(calm)) return;
        sessionId = `${name}-${next++}`;
        note({ type: "asked", sessionId });
      }
      note({ type: "told", sessionId, result: await untilTold(instance, sessionId, note) });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, line));
}

async function untilTold(
  instance: OrchestraInstance,
  sessionId: string,
  note: (entry: Entry) => void,
): Promise<unknown> {
  for (;;) {
    try {
      return valueOf(await instance.execute({ task: sessionId, sessionId, idempotencyKey: sessionId }));
    } catch (error) {
      const { code = "", message } = error as { code?: string; message: string };
      note({ type: "refused", sessionId, code, message });
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }
}

function valueOf(result: OrchestraResult): unknown {
  return result.success ? result.finalResponse : { status: result.status, error: result.error?.message };
}

/** The servers may be away just now. */
async function patiently(work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      console.error((error as Error).message);
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }
}
