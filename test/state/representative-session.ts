import { encodeValue } from "../../src/base/codec.ts";
import { hashBytes } from "../../src/base/crc.ts";
import type { Fact, RunLimits } from "../../src/actors/facts.ts";
import type { SessionStore } from "../../src/state/ports.ts";

const limits: RunLimits = {
  maxSteps: 100,
  tokens: false,
  costUsd: 2.5,
  durationMs: false,
  maxAgents: false,
  branchTimeoutMs: false,
  convergenceTimeoutMs: 300_000,
  stepTimeoutMs: 120_000,
  convergencePolicy: { minRatio: 1, onInsufficient: "fail" },
  convergence: true,
  errorRouting: true,
};
const document = encodeValue("a long document, ".repeat(2000));
const blob = hashBytes(document);

/** One of every kind of fact, and of every kind of value. */
export const REPRESENTATIVE_FACTS: readonly Fact[] = [
  {
    type: "run.started",
    runId: "run_1",
    task: { v: "Research, then write" },
    topology: { nodes: [], edges: [] } as never,
    topologyHash: "abc",
    limits,
    held: [],
    context: { region: { v: "eu" } },
    idempotencyKey: "key",
  },
  {
    type: "step.succeeded",
    stepId: "1.0.1",
    attempt: 1,
    outcome: { kind: "value", value: { ref: blob, bytes: document.byteLength } },
    held: [0],
    tookMs: 12.5,
    usage: { inputTokens: 10, outputTokens: 20, costUsd: 0.01, apiCalls: 1, nestedSteps: 0 },
  },
  {
    type: "step.succeeded",
    stepId: "1.0.2",
    attempt: 2,
    outcome: { kind: "parallel", items: [{ agent: "A", input: { v: [1, 2.5, -3, null, true] } }] },
    held: [],
    tookMs: 0,
    state: [{ key: "seen", value: { v: { at: new Date(1_700_000_000_123) } } }, { key: "gone" }],
  },
  {
    type: "step.failed",
    stepId: "1.0.3",
    attempt: 1,
    class: "transient",
    error: { code: "ECONNRESET", message: "reset", cause: { code: "E", message: "why" } },
    retryAtMs: 1_700_000_005_000,
    held: [],
    tookMs: 3,
  },
  {
    type: "step.suspended",
    stepId: "1.0.4",
    attempt: 1,
    questions: [{ questionId: "q", prompt: { v: "?" }, sessionId: "s.1.0.4" }],
  },
  {
    type: "journaled",
    stepId: "1.0.4",
    key: "call",
    value: {
      v: new Map<unknown, unknown>([
        ["a", new Set([1n, -(2n ** 63n)])],
        [{ k: 1 }, new Uint8Array([0, 255])],
      ]),
    },
  },
  { type: "timer.fired", timerId: "convergence:1" },
  {
    type: "user.answered",
    questionId: "q",
    value: { v: { text: "žluťoučký kůň 🐎 \ud83d", "\0": 1, constructor: "x" } },
    held: [1],
  },
  { type: "context.added", context: { budget: { v: 2 ** 53 } } },
  { type: "paused", reason: "needs_review", inFlight: "finish" },
  { type: "resumed", shiftMs: 5 },
  { type: "owned", host: "host-2", epoch: 4, shiftMs: 0 },
  { type: "checkpointed", checkpointId: "cp_1", name: "before" },
  { type: "restored", checkpointId: "cp_1", fromN: 3, state: { status: "paused" } },
  { type: "cancelled", reason: "enough" },
];

/** A session with one commit per fact, a blob, two snapshots and a checkpoint. */
export async function fillRepresentative(
  store: SessionStore,
  sessionId = "ses_representative",
): Promise<{ readonly sessionId: string; readonly blob: string; readonly last: number }> {
  for (const [i, fact] of REPRESENTATIVE_FACTS.entries()) {
    const n = i + 1;
    await store.append({
      sessionId,
      expected: i,
      commit: {
        v: 1,
        n,
        epoch: n < 12 ? 1 : 4,
        id: `cmt_${n}`,
        host: "host-1",
        atMs: 1_700_000_000_000 + n,
        inbox: i,
        facts: [fact],
      },
      ...(n === 2 ? { blobs: new Map([[blob, document]]) } : {}),
      entry: {
        sessionId,
        status: n === REPRESENTATIVE_FACTS.length ? "cancelled" : "running",
        runId: "run_1",
        topologyHash: "abc",
        createdAtMs: 1_700_000_000_001,
        updatedAtMs: 1_700_000_000_000 + n,
        host: "host-1",
        n,
      },
    });
  }
  const snapshot = (n: number) => ({
    n,
    reducer: 1,
    topologyHash: "abc",
    atMs: 1_700_000_000_000 + n,
    state: { status: "running", value: { ref: blob, bytes: document.byteLength } },
  });
  for (const n of [4, 8]) await store.saveSnapshot(sessionId, snapshot(n));
  await store.saveCheckpoint({
    checkpointId: "cp_1",
    sessionId,
    name: "before",
    n: 3,
    atMs: 1_700_000_000_003,
    status: "running",
    snapshot: snapshot(3),
  });
  return { sessionId, blob, last: REPRESENTATIVE_FACTS.length };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}
