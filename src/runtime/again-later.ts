// Again later: what failed in the background is tried again, each time after twice as long.

import type { Deadlines } from "./deadlines.ts";

const WAIT_MS_MAX = 30_000;
const TIMES_MAX = 24;

/**
 * Calls `act` after `firstMs`, doubled for each of the `times` it was called before, at most 30 s. Not after the 24th, some ten
 * minutes on: then it is left to the next process.
 */
export function againLater(deadlines: Deadlines, firstMs: number, times: number, act: () => void): void {
  if (times < TIMES_MAX) deadlines.after(Math.min(firstMs * 2 ** times, WAIT_MS_MAX), act);
}
