// A session state as plain data, for snapshots and checkpoints, and back.

import { OrchestraError } from "../base/errors.ts";
import { IntMap } from "./int-map.ts";
import { REDUCER_VERSION, type RunState, type SessionState } from "./session-state.ts";

const MAPS = ["branches", "frames", "instances", "steppers"] as const;

export function encodeState(state: SessionState): unknown {
  const { run } = state;
  if (run === null) return state;
  const instances = [...run.instances.entries()].map(([id, instance]) => [id, { ...instance, standing: [...instance.standing.entries()] }]);
  return {
    ...state,
    run: {
      ...run,
      branches: [...run.branches.entries()],
      frames: [...run.frames.entries()],
      steppers: [...run.steppers.entries()],
      instances,
    },
  };
}

/** @throws {OrchestraError} `ORCH_STORE_VERSION` when the state was folded by another version of the reducer. */
export function decodeState(encoded: unknown, reducer: number): SessionState {
  if (reducer !== REDUCER_VERSION) {
    throw new OrchestraError(
      "ORCH_STORE_VERSION",
      `this state was folded by reducer version ${reducer}; this build reads version ${REDUCER_VERSION}`,
    );
  }
  const state = encoded as SessionState;
  if (state.run === null) return state;
  const run = state.run as unknown as Record<(typeof MAPS)[number], [number, {}][]>;
  const maps = Object.fromEntries(MAPS.map((name) => [name, IntMap.from(run[name])]));
  const instances = IntMap.from(
    run.instances.map(([id, instance]) => {
      const { standing, ...rest } = instance as { standing: [number, number][] };
      return [id, { ...rest, standing: IntMap.from(standing) }] as const;
    }),
  );
  return { ...state, run: { ...state.run, ...(maps as Pick<RunState, "branches">), instances: instances as RunState["instances"] } };
}
