// Foreign end: what a worker of another process says an attempt came to, read before it becomes a fact. A log holds what
// it holds for good, so what is not of the right shape fails its attempt instead.

import type { StepOffer } from "../actors/effects.ts";
import { hashBytes } from "../base/crc.ts";
import { loadedOnFirstUse, onFirstUse } from "../base/on-first-use.ts";
import { stepSchemas } from "../state/fact-schema.ts";
import type { StepEnd } from "./step-wire.ts";

const zod = loadedOnFirstUse<typeof import("zod")>("zod");
const schema = onFirstUse(() => {
  const { z } = zod();
  const { outcome, usage, error, failureClass, writes, questions } = stepSchemas();
  const blobs = z
    .map(z.string(), z.instanceof(Uint8Array))
    .refine((all) => [...all].every(([ref, bytes]) => hashBytes(bytes) === ref), "a value is not what its hash says");
  const tookMs = z.number().nonnegative();
  return z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("succeeded"),
      outcome,
      tookMs,
      usage: usage.optional(),
      state: writes.optional(),
      blobs: blobs.optional(),
    }),
    z.object({
      kind: z.literal("failed"),
      class: failureClass,
      error,
      tookMs,
      usage: usage.optional(),
      retryAfterMs: z.number().optional(),
      forGood: z.boolean().optional(),
    }),
    z.object({ kind: z.literal("suspended"), questions, blobs: blobs.optional() }),
  ]);
});

/** The end as it was sent; where that is none, a failure by `ORCH_BUS_PAYLOAD` that another attempt may mend. */
export function readForeignEnd(body: unknown, { stepId, node, branchId }: StepOffer): StepEnd {
  const parsed = schema().safeParse(body);
  if (parsed.success) return body as StepEnd;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  const message = `the result of step ${stepId} of "${node}" cannot be read: ${where}${issue?.message ?? "it is none"}`;
  return {
    kind: "failed",
    class: "transient",
    error: { code: "ORCH_BUS_PAYLOAD", message, node, branchId },
    tookMs: 0,
  };
}
