// A session state as plain data, for snapshots and checkpoints, and back.

import { OrchestraError } from "../base/errors.ts";
import { GrowingList } from "./growing-list.ts";
import { IntMap } from "./int-map.ts";
import type { Barrier, BarrierArrival, Branch, Frame, Instance, RunState, SessionState } from "./session-state.ts";

/** The maps of a run as lists of entries, in key order. */
type Encoded<Map extends keyof RunState, V> = { readonly [K in Map]: readonly (readonly [number, V])[] };
type EncodedBarrier = Omit<Barrier, "arrivals"> & { readonly arrivals: readonly BarrierArrival[] };
type EncodedInstance = Omit<Instance, "standing" | "barriers"> & {
  readonly standing: readonly (readonly [number, number])[];
  readonly barriers: readonly EncodedBarrier[];
};
type EncodedRun = Omit<RunState, "branches" | "frames" | "instances" | "steppers"> &
  Encoded<"branches", Branch> &
  Encoded<"frames", Frame> &
  Encoded<"instances", EncodedInstance> &
  Encoded<"steppers", number>;
type EncodedState = Omit<SessionState, "run"> & { readonly run: EncodedRun | null };

export function encodeState(state: SessionState): unknown {
  const encoded: EncodedState = { ...state, run: state.run === null ? null : encodeRun(state.run) };
  return encoded;
}

function encodeRun(run: RunState): EncodedRun {
  return {
    ...run,
    branches: [...run.branches.entries()],
    frames: [...run.frames.entries()],
    steppers: [...run.steppers.entries()],
    instances: [...run.instances.entries()].map(([id, instance]) => [id, encodeInstance(instance)] as const),
  };
}

/** Turns a state as version `index + 1` of the reducer encoded it into one of the version after it. */
const UPGRADES: readonly ((state: unknown) => unknown)[] = [];

/**
 * A state that this or an older version of the reducer folded.
 * @throws {OrchestraError} `ORCH_STORE_VERSION` when a newer one did.
 */
export function decodeState(encoded: unknown, reducer: number): SessionState {
  // Its bytes passed their checksum and our own reducer made it, so it is taken for what its version says.
  const state = upgradeState(encoded, reducer, UPGRADES) as EncodedState;
  return { ...state, run: state.run === null ? null : decodeRun(state.run) };
}

/** Through each step of `upgrades` from version `reducer` on; as many steps as there are older versions. */
export function upgradeState(
  encoded: unknown,
  reducer: number,
  upgrades: readonly ((state: unknown) => unknown)[],
): unknown {
  const supported = upgrades.length + 1;
  if (reducer > supported) {
    throw new OrchestraError(
      "ORCH_STORE_VERSION",
      `this state was folded by reducer version ${reducer}; this program reads up to ${supported}`,
      { details: { version: reducer, supported } },
    );
  }
  return upgrades.slice(reducer - 1).reduce((older, step) => step(older), encoded);
}

function decodeRun(run: EncodedRun): RunState {
  return {
    ...run,
    branches: IntMap.from(run.branches),
    frames: IntMap.from(run.frames),
    steppers: IntMap.from(run.steppers),
    instances: IntMap.from(run.instances.map(([id, instance]) => [id, decodeInstance(instance)] as const)),
  };
}

function encodeInstance(instance: Instance): EncodedInstance {
  return {
    ...instance,
    standing: [...instance.standing.entries()],
    barriers: instance.barriers.map((barrier) => ({ ...barrier, arrivals: barrier.arrivals.toArray() })),
  };
}

function decodeInstance(instance: EncodedInstance): Instance {
  return {
    ...instance,
    standing: IntMap.from(instance.standing),
    barriers: instance.barriers.map((barrier) => ({ ...barrier, arrivals: GrowingList.from(barrier.arrivals) })),
  };
}
