import { Edge, LevelStorage, OrchestraInstance, StateManager } from "orchestra";
import type { OpenCycle } from "./cycle.ts";
import type { CycleState } from "./cycle-state.ts";

function opener(durability?: "process" | "disk"): OpenCycle {
  return (folder, textOf) => {
    let end = 0;
    let onStep = (): void => undefined;
    const instance = new OrchestraInstance({
      topology: {
        nodes: ["Work"],
        edges: [Edge("Work", "Work", { metadata: { condition: "again" } })],
        entryPoint: "Work",
        exitPoints: ["Work"],
      },
      conditions: { again: ({ output }) => (output as CycleState).count < end },
      agents: {
        Work(state: CycleState): CycleState {
          onStep();
          const count = state.count + 1;
          return { count, text: textOf(count) };
        },
      },
      ...(durability === undefined
        ? {}
        : { stateManager: new StateManager({ storage: new LevelStorage(folder, { durability }) }) }),
    });
    return Promise.resolve({
      async run(steps, told) {
        end = steps;
        onStep = told;
        const result = await instance.execute({ task: { count: 0, text: textOf(0) }, maxSteps: steps });
        return (result.orThrow().finalResponse as CycleState).count;
      },
      close: () => instance.close(),
    });
  };
}

export const openMemory = opener();
export const openProcess = opener("process");
export const openDisk = opener("disk");
