// Beats: a claimed step is reported alive while it waits for its turn.

import type { Claim } from "../bus/ports.ts";
import type { Deadlines } from "./deadlines.ts";

const BEAT_MS = 5_000;

export async function whileBeating<T>(claim: Claim, deadlines: Deadlines, turn: Promise<T>): Promise<T> {
  const beat = (): void => {
    claim.beat();
    next = deadlines.after(BEAT_MS, beat);
  };
  let next = deadlines.after(BEAT_MS, beat);
  try {
    return await turn;
  } finally {
    deadlines.clear(next);
  }
}
