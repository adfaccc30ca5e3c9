// What the parts cost by themselves: no orchestration, so nobody who uses them can be faster.

import { Level } from "level";
import { createActor, setup } from "xstate";
import { expected, stepsOf, type Contender, type Shape } from "./contender.ts";

/** One record per step, about the size of a commit of Orchestra's: side by side where the steps are. */
function level(sync: boolean, keeps: string): Contender {
  return {
    id: sync ? "level-fsync" : "level",
    name: `LevelDB alone, one put per step, ${sync ? "with" : "without"} fsync`,
    keeps,
    without: ["sessions"],
    async prepare(shape, folder) {
      const db = new Level<string, Uint8Array>(folder, { valueEncoding: "view" });
      await db.open();
      const record = new Uint8Array(400).fill(65);
      let position = 0;
      const put = (): Promise<void> => db.put(`c/bench/${String(++position).padStart(12, "0")}`, record, { sync });
      return {
        async run() {
          if (shape.kind === "pipeline") for (let i = 0; i < shape.size; i++) await put();
          else {
            await put();
            await Promise.all(Array.from({ length: shape.size }, put));
            await put();
          }
          return expected(shape);
        },
        close: () => db.close(),
      };
    },
  };
}

const step = setup({ types: { events: {} as { type: "start" } | { type: "done" } } }).createMachine({
  id: "step",
  initial: "queued",
  states: {
    queued: { on: { start: "running" } },
    running: { on: { done: "succeeded" } },
    succeeded: { type: "final" },
  },
});

const run = setup({
  types: { context: {} as { left: number }, input: {} as { steps: number }, events: {} as { type: "step.done" } },
  guards: { isLast: ({ context }) => context.left <= 1 },
}).createMachine({
  id: "run",
  context: ({ input }) => ({ left: input.steps }),
  initial: "running",
  states: {
    running: {
      on: {
        "step.done": [{ guard: "isLast", target: "completed" }, { actions: ({ context }) => void (context.left -= 1) }],
      },
    },
    completed: { type: "final" },
  },
});

const xstate: Contender = {
  id: "xstate",
  name: "XState alone, one root actor per step",
  keeps: "nothing",
  without: ["sessions"],
  prepare: (shape: Shape) =>
    Promise.resolve({
      run() {
        const steps = stepsOf(shape);
        const machine = createActor(run, { input: { steps } }).start();
        for (let i = 0; i < steps; i++) {
          const actor = createActor(step).start();
          actor.send({ type: "start" });
          actor.send({ type: "done" });
          actor.stop();
          machine.send({ type: "step.done" });
        }
        return Promise.resolve(machine.getSnapshot().status === "done" ? expected(shape) : -1);
      },
      close: () => Promise.resolve(),
    }),
};

export const floorContenders: readonly Contender[] = [
  level(false, "every step, past kill -9"),
  level(true, "every step, past loss of power"),
  xstate,
];
