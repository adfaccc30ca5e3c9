// Inspected actor: one that XState makes and tells its inspectors of.

import type { AnyStateMachine, EventFromLogic, InputFrom, SnapshotFrom } from "xstate";
import { loadedOnFirstUse } from "../base/on-first-use.ts";
import type { Inspect, LiveActor } from "./live-actor.ts";

const xstate = loadedOnFirstUse<typeof import("xstate")>("xstate");

export function createInspectedActor<M extends AnyStateMachine>(
  machine: M,
  input: InputFrom<M>,
  { id, inspect, onError }: { id: string; inspect: Inspect; onError: (error: unknown) => void },
): LiveActor<M> {
  const actor = xstate().createActor<AnyStateMachine>(machine, { id, input, inspect });
  actor.subscribe({ error: onError });
  actor.start();
  return {
    send(event: EventFromLogic<M>) {
      if (actor.getSnapshot().status === "active") actor.send(event);
    },
    stop: () => void actor.stop(),
    getSnapshot: () => actor.getSnapshot() as SnapshotFrom<M>,
  };
}
