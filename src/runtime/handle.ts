// Handle: a run to be watched while it works.

import type { RunEvent } from "./engine-api.ts";
import type { OrchestraResult } from "./result.ts";

/**
 * Iterate it for events; leaving the loop early detaches and does not cancel. A reader that falls 10,000 events behind
 * loses the oldest (`dropped` counts them); `OrchestraInstance.events` loses none.
 */
export interface OrchestraHandle extends AsyncIterable<RunEvent> {
  readonly sessionId: string;
  /** Rejects with a coded error for what cannot start. Not awaiting it is safe. */
  readonly result: Promise<OrchestraResult>;
  readonly dropped: number;
  /** False when there was nothing running. */
  pause(reason?: string): Promise<boolean>;
  cancel(reason?: string): Promise<boolean>;
}
