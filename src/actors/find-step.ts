import { stepNumberOf } from "../base/ids.ts";
import type { Draft } from "./draft.ts";
import type { Branch, StepWork } from "./session-state.ts";

/** The live step behind an id, or why there is none. */
export function findStep(draft: Draft, stepId: string): { branch: Branch; work: StepWork } | string {
  const step = stepNumberOf(stepId, draft.run.seq, draft.session.generation);
  if (step === undefined) {
    return `step ${stepId} belongs to another run or generation`;
  }
  const branchId = draft.run.steppers.get(step);
  if (branchId === undefined) return `step ${stepId} is settled`;
  const branch = draft.branch(branchId);
  if (branch.phase.kind !== "step") throw new TypeError(`branch ${branchId} is listed with a step it does not have`);
  return { branch, work: branch.phase.work };
}
