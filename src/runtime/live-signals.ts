// Live signals: what hosts tell each other of a session by the bus's live events. Hints: each may be lost, and whoever
// acts on one looks at the log or the queue, which are the truth.

import type { LiveEvents } from "../bus/ports.ts";
import type { LiveOnlyEvent } from "./event-hub.ts";
import type { AbortReason } from "./step-wire.ts";

export type LiveSignal =
  /** Its log has grown. */
  | { readonly type: "commit"; readonly host: string }
  /** What is shown to observers and is in no log. */
  | { readonly type: "shown"; readonly host: string; readonly event: LiveOnlyEvent }
  /** The owner wants no more of a step that runs elsewhere. */
  | { readonly type: "abort"; readonly host: string; readonly stepId: string; readonly reason: AbortReason };

/** Where sessions that nobody owns are called out. */
export const ABANDONED = "orchestra:abandoned";

export type AbandonedSignal = { readonly type: "abandoned"; readonly sessionId: string };

export function tell(live: LiveEvents, sessionId: string, event: LiveSignal): void {
  live.publish({ sessionId, event });
}

/** Calls out a running session that has no owner. */
export function tellAbandoned(live: LiveEvents, sessionId: string): void {
  live.publish({ sessionId: ABANDONED, event: { type: "abandoned", sessionId } satisfies AbandonedSignal });
}

/** What came is from others, and may be of another version: what is not known is no signal. */
export function signalOf(event: unknown): LiveSignal | undefined {
  if (typeof event !== "object" || event === null) return undefined;
  const { type } = event as { type?: unknown };
  return type === "commit" || type === "shown" || type === "abort" ? (event as LiveSignal) : undefined;
}

export function abandonedSession(event: unknown): string | undefined {
  if (typeof event !== "object" || event === null) return undefined;
  const { type, sessionId } = event as { type?: unknown; sessionId?: unknown };
  return type === "abandoned" && typeof sessionId === "string" ? sessionId : undefined;
}
