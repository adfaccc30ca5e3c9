// What of a step crosses the bus.

import type { StepMessage } from "../bus/ports.ts";

/** A step as plain data. A body that is more than data names what crosses by its method `toWire`. */
export function plainStep(step: StepMessage): StepMessage {
  const { sessionId, runId, stepId, agent, attempt, body, notBeforeMs, recovered } = step;
  return {
    sessionId,
    runId,
    stepId,
    agent,
    attempt,
    body: isWireBody(body) ? body.toWire() : body,
    ...(notBeforeMs !== undefined && { notBeforeMs }),
    ...(recovered !== undefined && { recovered }),
  };
}

function isWireBody(body: unknown): body is { toWire(): unknown } {
  return typeof body === "object" && body !== null && "toWire" in body && typeof body.toWire === "function";
}
