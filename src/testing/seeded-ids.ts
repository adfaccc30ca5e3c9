import type { Clock } from "../base/clock.ts";
import { createIds, type Ids } from "../base/ids.ts";
import { seededRandom } from "../base/random.ts";

/** Ids that come out the same for the same seed and the same times. Without a clock, time stands still at 0. */
export function seededIds(seed: number, clock?: Pick<Clock, "nowMs">): Ids {
  return createIds(
    { nowMs: () => clock?.nowMs() ?? 0, monotonicMs: () => 0, setTimer: () => () => undefined },
    seededRandom(seed),
  );
}
