// Events: one session's events from its log and then live, without a gap and without a duplicate.
//
// An event's `seq` is the number of its commit times 2^20 plus its place in it; so it is the same on every replay.

import type { KernelEvent, StepInput } from "../actors/effects.ts";
import type { Outcome } from "../actors/facts.ts";
import type { Stored } from "../base/stored.ts";
import type { SessionStore } from "../state/ports.ts";
import type { Deadlines } from "./deadlines.ts";
import type { EngineEventsOptions, RunEvent } from "./engine-api.ts";
import type { EventBatch, EventHub, LiveOnlyEvent, Subscription } from "./event-hub.ts";
import { foldLog, foldStart } from "./log-fold.ts";
import type { FoldStart } from "./log-fold.ts";
import { listedOutcome } from "./recorder.ts";
import { listed, listedInput } from "./values.ts";

export const EVENTS_PER_COMMIT_MAX = 2 ** 20;

export function seqOf(n: number, index: number): number {
  return n * EVENTS_PER_COMMIT_MAX + index;
}

/** The commit an event is of. */
export function commitOf(seq: number): number {
  return Math.floor(seq / EVENTS_PER_COMMIT_MAX);
}

export interface EventPorts {
  readonly store: SessionStore;
  readonly hub: EventHub;
  readonly deadlines: Deadlines;
  /** here: live in this engine. moving: some other process runs it. still: nobody does. */
  whereabouts(sessionId: string): Promise<"here" | "moving" | "still">;
  /** Other hosts may set the session going again. */
  readonly shared?: boolean;
}

/** How often the log is looked at while another process writes it. */
const POLL_MS = 250;
/** The same while nobody does, where that may change by another's hand. */
const STILL_POLL_MS = 2_000;

export async function* sessionEvents(
  ports: EventPorts,
  sessionId: string,
  options: EngineEventsOptions,
): AsyncGenerator<RunEvent> {
  const { signal, untilSettled = false, untilNow = false } = options;
  const subscription = ports.hub.subscribe(sessionId);
  const wake = (): void => subscription.nudge();
  signal?.addEventListener("abort", wake);
  const stopped = (): boolean => signal?.aborted === true || ports.hub.closed;
  let cursor = options.after ?? 0;
  const folded: Folding = {};
  /** Chunks that nobody was told of; the next event says how many. */
  let lost = 0;
  const telling = (event: RunEvent): RunEvent => {
    const told = lost === 0 ? event : { ...event, dropped: lost };
    lost = 0;
    return told;
  };
  try {
    // Of a session that begins after this, everything comes live.
    let fromLog = options.idIsNew !== true;
    for (; ; fromLog = true) {
      subscription.catchUp();
      if (fromLog)
        for await (const event of loggedEvents(ports.store, sessionId, cursor, folded)) {
          if (stopped()) return;
          cursor = event.seq;
          lost += subscription.takeDropped();
          yield telling(event);
        }
      while (!subscription.lagging) {
        const item = subscription.shift();
        if (item === undefined) {
          if (stopped() || untilNow) return;
          const where = await ports.whereabouts(sessionId);
          if (subscription.lagging || subscription.pending) continue;
          if (untilSettled && where === "still") return;
          if (where === "moving" || (where === "still" && ports.shared === true)) {
            await waitOrPoll(subscription, ports.deadlines, where === "moving" ? POLL_MS : STILL_POLL_MS);
            break;
          }
          await subscription.wait();
          continue;
        }
        if (item.type === "shown") {
          lost += item.event.dropped ?? 0;
          // The log may have told more than was live yet, the end of the chunk's step too.
          if ((item.event.n ?? Infinity) < commitOf(cursor)) lost++;
          else yield telling(liveEvent(sessionId, item.event, cursor));
          continue;
        }
        lost += item.dropped ?? 0;
        for (const event of runEvents(sessionId, item.batch)) {
          if (event.seq <= cursor) continue;
          cursor = event.seq;
          yield telling(event);
          if (stopped()) return;
        }
      }
    }
  } finally {
    signal?.removeEventListener("abort", wake);
    ports.hub.unsubscribe(sessionId, subscription);
  }
}

/** Until there is something new, or the time has passed. */
export async function waitOrPoll(subscription: Subscription, deadlines: Deadlines, pollMs: number): Promise<void> {
  const deadline = deadlines.after(pollMs, () => subscription.nudge());
  try {
    await subscription.wait();
  } finally {
    deadlines.clear(deadline);
  }
}

/** How far a reader has folded the log, so that what is added to it is all that is read next time. */
interface Folding {
  upTo?: FoldStart;
}

async function* loggedEvents(
  store: SessionStore,
  sessionId: string,
  after: number,
  folded: Folding,
): AsyncIterable<RunEvent> {
  const afterN = commitOf(after);
  // The commit the cursor stands in may have more events to come, so folding starts before it.
  const start = folded.upTo ?? (await foldStart(store, sessionId, afterN - 1));
  for await (const { commit, reduction } of foldLog(store, sessionId, start)) {
    if (commit.n >= afterN) {
      const batch: EventBatch = {
        n: commit.n,
        atMs: commit.atMs,
        runId: reduction.state.run?.runId ?? "",
        events: reduction.events,
      };
      for (const event of runEvents(sessionId, batch)) if (event.seq > after) yield event;
    }
    folded.upTo = { n: commit.n, state: reduction.state };
  }
}

export function* runEvents(sessionId: string, batch: EventBatch): Iterable<RunEvent> {
  const { n, atMs, runId, events } = batch;
  for (let i = 0; i < events.length; i++) {
    const event = events[i] as KernelEvent;
    yield { ...resolved(event), seq: seqOf(n, i), at: atMs, sessionId, runId } as RunEvent;
  }
}

function liveEvent(sessionId: string, event: LiveOnlyEvent, seq: number): RunEvent {
  const { atMs, n: _n, dropped: _dropped, ...shown } = event;
  return { ...shown, seq, at: atMs, sessionId };
}

/** The event with its stored values shown as values; big ones as `{ $blob, bytes }`. */
function resolved(event: KernelEvent): object {
  switch (event.type) {
    case "run.started":
      return { ...event, task: listed(event.task) };
    case "branch.started":
    case "step.started":
      return { ...event, input: listedInput(event.input as StepInput) };
    case "step.succeeded":
      return { ...event, outcome: listedOutcome(event.outcome as Outcome) };
    case "branch.ended":
    case "user.timed_out":
      return event.value === undefined ? event : { ...event, value: listed(event.value) };
    case "user.asked":
      return { ...event, prompt: listed(event.prompt) };
    case "user.answered":
      return { ...event, value: listed(event.value as Stored) };
    case "run.completed":
      return {
        ...event,
        value: event.value.kind === "one" ? listed(event.value.value) : event.value.values.map(listed),
      };
    default:
      return event;
  }
}
