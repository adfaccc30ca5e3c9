// Live actor: what the runtime holds of a session or a step, whoever makes it.

import type { AnyStateMachine, EventFromLogic, InspectionEvent, SnapshotFrom } from "xstate";

export interface LiveActor<M extends AnyStateMachine> {
  send(event: EventFromLogic<M>): void;
  stop(): void;
  getSnapshot(): SnapshotFrom<M>;
}

/** Told by XState of every actor, event and snapshot, as its inspectors expect it. */
export type Inspect = (event: InspectionEvent) => void;

export interface ActorHooks {
  /** Hears of a defect, which ends this actor and nothing else. */
  readonly onError: (error: unknown) => void;
  /** Given, the actor is XState's own; it costs some 3.5 kB and is slower. */
  readonly inspect?: Inspect | undefined;
}
