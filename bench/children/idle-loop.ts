// A process that does nothing but notice how long it is kept waiting: the machine's own noise. See loop-watch.ts.

import { GapMeter } from "./loop-watch.ts";

const meter = new GapMeter();
process.on("message", () => process.send?.(meter.lap()));
process.on("disconnect", () => meter.stop());
process.send?.("ready");
