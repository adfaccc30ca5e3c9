// A step that the queue gave up, as its owner takes it: failed for good as far as this attempt goes; the error policy decides.

import type { StepOffer } from "../actors/effects.ts";
import { errorToData } from "../base/error-data.ts";
import { OrchestraError } from "../base/errors.ts";
import type { DeadLetter } from "../bus/ports.ts";
import type { StepEnd } from "./step-wire.ts";

export function poisoned(
  { id, reason, deliveries, agent }: Pick<DeadLetter, "reason" | "deliveries" | "agent"> & { readonly id?: string },
  { stepId, node, branchId }: StepOffer,
): StepEnd {
  const times = deliveries === 1 ? "once" : `${deliveries} times`;
  const error = new OrchestraError(
    "ORCH_STEP_POISON",
    `step ${stepId} of "${node}" was handed to agent "${agent}" ${times} and came back without a result: ${reason}`,
    { details: { stepId, node, agent, deliveries, ...(id !== undefined && { deadLetter: id }) } },
  );
  return { kind: "failed", class: "permanent", error: { ...errorToData(error), node, branchId }, tookMs: 0 };
}
