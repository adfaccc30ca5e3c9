// Crossing: what goes from one process to another is plain data, and a copy.

import type { StepMessage } from "../../bus/ports.ts";
import type { StepBody } from "../../runtime/step-wire.ts";

export function crossed<T>(value: T): T {
  return structuredClone(value);
}

/** A step's body has parts that are worked out when they are read: here they are. */
export function crossedStep(step: StepMessage): StepMessage {
  const body = step.body as StepBody;
  const { threw: _threw, ...data } = { ...body, successors: body.successors, place: body.place };
  return crossed({ ...step, body: data });
}
