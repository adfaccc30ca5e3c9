// Schema of commits that come from elsewhere
//
// Imports are read with it: a checksum shows that a file is whole, not that an honest program wrote it. Fields it does
// not know are refused, since this program could not act on them. Few processes import a session: zod and the schemas wait
// for the first.

import { loadedOnFirstUse, onFirstUse } from "../base/on-first-use.ts";

const zod = loadedOnFirstUse<typeof import("zod")>("zod");

/** The schemas of what facts of steps are made of. */
export const stepSchemas = onFirstUse(() => {
  const { z } = zod();
  const stored = z.union([
    z.strictObject({ v: z.unknown() }),
    z.strictObject({ ref: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.number().nonnegative() }),
  ]);
  const usage = z.strictObject({
    inputTokens: z.number(),
    outputTokens: z.number(),
    costUsd: z.number(),
    apiCalls: z.number(),
    nestedSteps: z.number(),
  });

  const error = z.strictObject({
    code: z.string(),
    message: z.string(),
    name: z.string().optional(),
    node: z.string().optional(),
    branchId: z.string().optional(),
    stack: z.string().optional(),
    data: z.unknown().optional(),
    get cause() {
      return error.optional();
    },
  });

  const call = z.strictObject({ agent: z.string(), input: stored });
  const outcome = z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("value"), value: stored }),
    z.strictObject({ kind: z.literal("invoke"), ...call.shape }),
    z.strictObject({ kind: z.literal("parallel"), items: z.array(call) }),
    z.strictObject({ kind: z.literal("final"), value: stored }),
    z.strictObject({
      kind: z.literal("ask"),
      prompt: stored,
      timeoutMs: z.number().positive().optional(),
      fallback: stored.optional(),
    }),
  ]);
  return {
    stored,
    usage,
    error,
    outcome,
    failureClass: z.enum(["transient", "timeout", "invalid_output", "permanent"]),
    writes: z.array(z.strictObject({ key: z.string(), value: stored.optional() })),
    questions: z.array(
      z.strictObject({
        questionId: z.string(),
        prompt: stored,
        sessionId: z.string(),
        dueAtMs: z.number().optional(),
      }),
    ),
  };
});

/** The schemas of what an export holds. */
export const exportSchemas = onFirstUse(() => {
  const { z } = zod();
  const { stored, usage, error, outcome, failureClass, writes, questions } = stepSchemas();
  const count = z.int().nonnegative();
  const held = z.array(count);
  const stepOf = { stepId: z.string(), attempt: count };
  const values = z.record(z.string(), stored);
  const plainObject = z.record(z.string(), z.unknown());

  const fact = z.discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("run.started"),
      runId: z.string(),
      task: stored,
      // Both are checked by their own modules when the run is brought back.
      topology: plainObject,
      topologyHash: z.string(),
      limits: plainObject,
      held,
      context: values.optional(),
      idempotencyKey: z.string().optional(),
      parent: z.strictObject({ sessionId: z.string(), stepId: z.string() }).optional(),
      fresh: z.boolean().optional(),
      followUp: z.boolean().optional(),
      conditions: z.array(z.string()).optional(),
    }),
    z.strictObject({
      type: z.literal("step.succeeded"),
      ...stepOf,
      outcome,
      held,
      tookMs: z.number(),
      usage: usage.optional(),
      state: writes.optional(),
    }),
    z.strictObject({
      type: z.literal("step.failed"),
      ...stepOf,
      class: failureClass,
      error,
      retryAtMs: z.number().optional(),
      held,
      tookMs: z.number(),
      usage: usage.optional(),
    }),
    z.strictObject({
      type: z.literal("step.suspended"),
      ...stepOf,
      questions,
    }),
    z.strictObject({ type: z.literal("journaled"), stepId: z.string(), key: z.string(), value: stored }),
    z.strictObject({ type: z.literal("timer.fired"), timerId: z.string() }),
    z.strictObject({
      type: z.literal("user.answered"),
      questionId: z.string(),
      value: stored,
      action: z.enum(["retry", "skip", "abort"]).optional(),
      held,
    }),
    z.strictObject({ type: z.literal("question.expired"), questionId: z.string(), value: stored.optional(), held }),
    z.strictObject({ type: z.literal("context.added"), context: values }),
    z.strictObject({ type: z.literal("paused"), reason: z.string().optional(), inFlight: z.enum(["finish", "abort"]) }),
    z.strictObject({ type: z.literal("resumed"), shiftMs: z.number() }),
    z.strictObject({ type: z.literal("cancelled"), reason: z.string().optional() }),
    z.strictObject({ type: z.literal("owned"), host: z.string(), epoch: count, shiftMs: z.number() }),
    z.strictObject({
      type: z.literal("migrated"),
      topology: plainObject,
      topologyHash: z.string(),
      nodes: z.record(z.string(), z.string()),
      conditions: z.array(z.string()).optional(),
    }),
    z.strictObject({ type: z.literal("checkpointed"), checkpointId: z.string(), name: z.string() }),
    z.strictObject({
      type: z.literal("restored"),
      checkpointId: z.string(),
      fromN: count,
      state: z.unknown(),
      reducer: z.int().positive().optional(),
    }),
  ]);

  const commit = z.strictObject({
    v: z.literal(1),
    n: z.int().positive(),
    epoch: count,
    id: z.string(),
    host: z.string(),
    atMs: z.number(),
    inbox: count.optional(),
    facts: z.array(fact),
  });

  const status = z.enum(["idle", "running", "paused", "awaiting_user", "completed", "failed", "cancelled"]);

  const entry = z.strictObject({
    sessionId: z.string(),
    status,
    runId: z.string().nullable(),
    topologyHash: z.string().nullable(),
    createdAtMs: z.number(),
    updatedAtMs: z.number(),
    host: z.string(),
    n: count,
    parentSessionId: z.string().optional(),
    dueAtMs: z.number().optional(),
  });

  const snapshot = z.strictObject({
    n: count,
    reducer: z.int().positive(),
    topologyHash: z.string().nullable(),
    atMs: z.number(),
    state: z.unknown(),
  });

  const checkpoint = z.strictObject({
    checkpointId: z.string(),
    sessionId: z.string(),
    name: z.string(),
    n: count,
    atMs: z.number(),
    status,
    snapshot,
  });

  const content = z.strictObject({
    entry,
    commits: z.array(commit),
    snapshots: z.array(snapshot),
    checkpoints: z.array(checkpoint),
    blobs: z.map(z.string(), z.instanceof(Uint8Array)),
  });
  const versioned = z.object({
    commits: z.array(z.object({ v: z.number(), facts: z.array(z.object({ type: z.string() })) })),
  });
  return {
    whole: content.extend({ nested: z.array(content).optional() }),
    /** As much of an export as tells whether a newer program wrote it. */
    versioned: versioned.extend({ nested: z.array(versioned).optional() }),
    explain: z.prettifyError,
  };
});
