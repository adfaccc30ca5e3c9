// Small parts of a session, for the store's contract: the same arguments always give the same part.

import type { Fact } from "../actors/facts.ts";
import { encodeValue } from "../base/codec.ts";
import { hashBytes } from "../base/crc.ts";
import type { Checkpoint, Commit, SessionEntry, Snapshot } from "../state/ports.ts";

export function commitOf(n: number, more: Partial<Commit> = {}): Commit {
  return {
    v: 1,
    n,
    epoch: 1,
    id: `c-${n}`,
    host: "host-1",
    atMs: 1_700_000_000_000 + n,
    facts: [{ type: "timer.fired", timerId: `t${n}` }],
    ...more,
  };
}

export function entryOf(sessionId: string): SessionEntry {
  return {
    sessionId,
    status: "running",
    runId: "run-1",
    topologyHash: "hash",
    createdAtMs: 50,
    updatedAtMs: 100,
    host: "host-1",
    n: 1,
  };
}

export function snapshotOf(n: number): Snapshot {
  return {
    n,
    reducer: 1,
    topologyHash: "hash",
    atMs: 1_700_000_000_000 + n,
    state: { status: "running", seen: [n], none: null },
  };
}

export function checkpointOf(checkpointId: string, sessionId: string, n: number): Checkpoint {
  return { checkpointId, sessionId, name: `at ${n}`, n, atMs: 7, status: "paused", snapshot: snapshotOf(n) };
}

export function blobOf(text: string): { readonly ref: string; readonly bytes: Uint8Array } {
  const bytes = encodeValue(text.repeat(4000));
  return { ref: hashBytes(bytes), bytes };
}

export function everyKindOfFact(): readonly Fact[] {
  return [
    { type: "context.added", context: { region: { v: "eu" } } },
    {
      type: "step.succeeded",
      stepId: "1.0.1",
      attempt: 1,
      outcome: { kind: "value", value: { v: { text: "done", scores: [1, 2.5, -3] } } },
      held: [0, 2],
      tookMs: 12,
    },
    {
      type: "step.succeeded",
      stepId: "1.0.2",
      attempt: 2,
      outcome: { kind: "parallel", items: [{ agent: "A", input: { v: 1 } }] },
      held: [],
      tookMs: 0,
      state: [{ key: "seen", value: { v: 1 } }, { key: "gone" }],
    },
    {
      type: "step.failed",
      stepId: "1.0.3",
      attempt: 1,
      class: "transient",
      error: { code: "ECONNRESET", message: "reset" },
      retryAtMs: 5,
      held: [],
      tookMs: 3,
    },
    {
      type: "step.suspended",
      stepId: "1.0.4",
      attempt: 1,
      questions: [{ questionId: "q", prompt: { v: "?" }, sessionId: "s1.1.0.4", dueAtMs: 5 }],
    },
    { type: "journaled", stepId: "1.0.4", key: "call", value: { v: null } },
    { type: "timer.fired", timerId: "t" },
    { type: "user.answered", questionId: "q", value: { v: "yes" }, held: [1] },
    { type: "user.answered", questionId: "q", value: { v: null }, action: "retry", held: [] },
    { type: "question.expired", questionId: "q", value: { v: "no" }, held: [1] },
    { type: "paused", reason: "review", inFlight: "finish" },
    { type: "resumed", shiftMs: 5 },
    { type: "owned", host: "host-2", epoch: 4, shiftMs: 0 },
    { type: "checkpointed", checkpointId: "cp", name: "before" },
    { type: "restored", checkpointId: "cp", fromN: 3, state: { status: "paused" } },
    { type: "cancelled" },
  ];
}
