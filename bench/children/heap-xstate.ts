// The floor: a root actor that waits for an event, and nothing around it.

import { createActor, setup } from "xstate";
import type { CreateHold } from "./heap.ts";

const machine = setup({ types: { events: {} as { type: "go-on" } } }).createMachine({
  id: "waiting",
  initial: "waiting",
  states: { waiting: { on: { "go-on": "done" } }, done: { type: "final" } },
});

export const waiting: CreateHold = () => {
  const held: unknown[] = [];
  return (count) => {
    for (let i = 0; i < count; i++) held.push(createActor(machine).start());
    return Promise.resolve();
  };
};
