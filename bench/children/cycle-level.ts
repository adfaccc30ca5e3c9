// The floor: LevelDB given the same values, one put per step, each under a key of its own.

import { Level } from "level";
import type { OpenCycle } from "./cycle.ts";
import type { CycleState } from "./cycle-state.ts";

export const openLevel: OpenCycle = async (folder, textOf) => {
  const db = new Level<string, CycleState>(folder, { valueEncoding: "json" });
  await db.open();
  return {
    async run(steps, onStep) {
      let state: CycleState = { count: 0, text: textOf(0) };
      for (let i = 0; i < steps; i++) {
        onStep();
        state = { count: i + 1, text: textOf(i + 1) };
        await db.put(`c/bench/${String(i).padStart(12, "0")}`, state);
      }
      return state.count;
    },
    close: () => db.close(),
  };
};
