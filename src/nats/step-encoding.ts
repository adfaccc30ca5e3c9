// What of a step crosses the bus.

import type { MsgHdrs } from "@nats-io/transport-node";
import type { StepMessage } from "../bus/ports.ts";
import { read } from "./shapes.ts";
import type { Spill } from "./spill.ts";

/** Whose step it is, also for who cannot read the payload: tokens of subjects may be hashed. URI-encoded. */
export const SESSION_HEADER = "Orch-Session";
export const STEP_HEADER = "Orch-Step";

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

/** The step of a message of the work queue; of one that cannot be read, what its subject and headers tell. */
export async function readStep(
  spill: Spill,
  message: { readonly subject: string; readonly data: Uint8Array; readonly headers: MsgHdrs | undefined },
): Promise<StepMessage> {
  const { subject, data } = message;
  const what = `step ${subject}`;
  try {
    return read.step(await spill.unpack(data, what), what);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ORCH_BUS_PAYLOAD") throw error;
    const [agent = "", sessionToken = "", stepToken = "", attempt = ""] = subject.split(".").slice(-4);
    return {
      sessionId: told(message.headers?.get(SESSION_HEADER)) ?? sessionToken,
      runId: "",
      stepId: told(message.headers?.get(STEP_HEADER)) ?? stepToken,
      agent,
      attempt: Number(attempt) || 1,
      body: null,
    };
  }
}

function told(header: string | undefined): string | undefined {
  if (header === undefined || header === "") return undefined;
  try {
    return decodeURIComponent(header);
  } catch {
    return undefined;
  }
}
