// Moving a run to another topology
//
// Everything in the state of a run that is a number in its plan is written anew in the numbers of the other plan. What
// has happened keeps the names under which it happened: arrivals, deliveries, what was missing.
//
// V1  A run moves only when all it still needs is there: nodes where something stands, forks of which branches are out,
//     calls and conversations under way. Otherwise it says what is not, and stays.
// V2  Steps, questions, attempts, journals, budgets and counters are those of before: nothing is asked or paid twice.

import type { Plan } from "../topology/plan.ts";
import { convergenceTimer } from "./draft.ts";
import { GrowingList } from "./growing-list.ts";
import { IntMap } from "./int-map.ts";
import { aheadKey, recordsOf, withRecord, NO_RECORDS, type StepJournal } from "./journal.ts";
import { GONE, type PlanMap } from "./plan-map.ts";
import type {
  Barrier,
  BarrierKey,
  Branch,
  Calls,
  Frame,
  Instance,
  Phase,
  RunState,
  SessionState,
  StepWork,
} from "./session-state.ts";

/** Nodes, by number, that a run still needs wherever it goes on. */
export function nodesNeeded(run: RunState, plan: Plan): Set<number> {
  const needed = new Set<number>();
  const needEdge = (id: number): void => {
    const edge = plan.edges[id]!;
    needed.add(edge.from).add(edge.to);
  };
  for (const { node, phase } of run.branches.values()) {
    needed.add(node);
    if (phase.kind === "conversing") needEdge(phase.edge);
    if (phase.kind !== "calling") continue;
    for (const [i, target] of phase.calls.targets.entries())
      if (phase.calls.replies[i] === null) needed.add(target.node);
  }
  for (const frame of run.frames.values()) {
    if (frame.kind === "run") continue;
    needed.add(frame.node);
    for (const caller of frame.callers) needed.add(caller);
    if (frame.edge !== undefined) needEdge(frame.edge);
  }
  for (const { total, fork, targets, barriers } of run.instances.values()) {
    if (total === 0) continue;
    needed.add(fork);
    for (const target of targets ?? []) needed.add(target);
    for (const { end } of barriers) needed.add(plan.nodeOf(end));
  }
  return needed;
}

/** Calls about to be made, and conversations under way, that the other plan has no edge for. */
export function edgesLost(run: RunState, { from, to, edge, name }: PlanMap): string[] {
  const lost: string[] = [];
  const look = (id: number, what: (a: string, b: string) => string): void => {
    const { data } = from.edges[id]!;
    const found = edge(id);
    if (found === GONE || to.edges[found] === undefined) lost.push(what(name(data.from), name(data.to)));
  };
  for (const { phase } of run.branches.values()) {
    if (phase.kind === "conversing")
      look(phase.edge, (a, b) => `"${a}" and "${b}" are in a conversation, which the new topology does not have`);
    if (phase.kind === "calling")
      for (const target of phase.calls.targets.slice(phase.calls.next))
        look(target.edge, (a, b) => `"${a}" is still to call "${b}", and the new topology has no such call`);
  }
  return lost;
}

/** The run in the numbers of `map.to`. All of `nodesNeeded` must be there, and nothing of `edgesLost`. */
export function movedRun(
  run: RunState,
  map: PlanMap,
  now: Pick<RunState, "topologyHash"> & { readonly conditions?: readonly string[] | undefined },
): RunState {
  const { conditions: _before, ...kept } = run;
  return {
    ...kept,
    topology: map.to.topology,
    topologyHash: now.topologyHash,
    ...(now.conditions !== undefined && { conditions: now.conditions }),
    invocations: movedCounts(run.invocations, map),
    visits: renumbered(run.visits, map.edge),
    branches: movedAll(run.branches, (branch) => movedBranch(branch, map)),
    frames: movedAll(run.frames, (frame) => movedFrame(frame, map)),
    instances: movedAll(run.instances, (instance) => movedInstance(instance, map)),
    timers: Object.fromEntries(
      Object.entries(run.timers).map(([id, timer]) => {
        if (timer.kind !== "convergence") return [id, timer];
        const end = map.end(timer.end!);
        return [convergenceTimer(timer.instance!, end), { ...timer, end }];
      }),
    ),
    questions: run.questions.map((question) => ({
      ...question,
      node: map.name(question.node),
      ...(question.barrier !== undefined && { barrier: { ...question.barrier, end: map.end(question.barrier.end) } }),
    })),
  };
}

/** `ctx.state` goes with the node. */
export function movedAgentState(
  agentState: SessionState["agentState"],
  renames: Readonly<Record<string, string>>,
): SessionState["agentState"] {
  const taken = new Set([...Object.keys(renames), ...Object.values(renames)]);
  const kept = Object.entries(agentState).filter(([node]) => !taken.has(node));
  const moved = Object.entries(renames).flatMap(([old, now]) =>
    Object.hasOwn(agentState, old) ? [[now, agentState[old]!] as const] : [],
  );
  return Object.fromEntries([...kept, ...moved]);
}

function movedAll<V extends {}>(all: IntMap<V>, move: (value: V) => V): IntMap<V> {
  return IntMap.from([...all.entries()].map(([id, value]) => [id, move(value)] as const));
}

function movedCounts(counts: readonly number[], map: PlanMap): readonly number[] {
  const moved = map.to.nodes.map(() => 0);
  for (const [node, count] of counts.entries()) if (map.node(node) !== GONE) moved[map.node(node)] = count;
  return moved;
}

/** What stands under the number of something that is gone goes with it. */
function renumbered<V>(
  record: Readonly<Record<number, V>>,
  number: (id: number) => number,
): Readonly<Record<number, V>> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([id, value]) => {
      const moved = number(Number(id));
      return moved === GONE ? [] : [[moved, value] as const];
    }),
  );
}

function movedKeys(keys: readonly BarrierKey[], map: PlanMap): readonly BarrierKey[] {
  return keys.map((key) => ({ ...key, end: map.end(key.end) })).filter(({ end }) => end !== GONE);
}

function movedBranch(branch: Branch, map: PlanMap): Branch {
  return {
    ...branch,
    node: map.node(branch.node),
    conversed: branch.conversed.map(map.edge).filter((edge) => edge !== GONE),
    late: movedKeys(branch.late, map),
    phase: movedPhase(branch.phase, map),
  };
}

function movedPhase(phase: Phase, map: PlanMap): Phase {
  switch (phase.kind) {
    case "step":
    case "queued":
    case "suspended":
      return { ...phase, work: movedWork(phase.work, map) };
    case "asking":
      return phase.work === undefined ? phase : { ...phase, work: movedWork(phase.work, map) };
    case "calling":
      return { ...phase, calls: movedCalls(phase.calls, map) };
    case "conversing":
      return { ...phase, edge: map.edge(phase.edge) };
    default:
      return phase;
  }
}

function movedWork(work: StepWork, map: PlanMap): StepWork {
  const { journal } = work;
  const moved = movedJournal(journal, map);
  return moved === journal ? work : { ...work, journal: moved };
}

/** What the target of a stream edge recorded ahead stands under the target's name. */
function movedJournal(journal: StepJournal, map: PlanMap): StepJournal {
  const renamed = map.from.nodes.filter(({ name }) => map.name(name) !== name);
  if (renamed.length === 0 || journal === NO_RECORDS) return journal;
  return recordsOf(journal).reduce((all, [key, value]) => {
    const target = renamed.find(({ name }) => key.startsWith(aheadKey(name, "")));
    if (target === undefined) return withRecord(all, key, value);
    return withRecord(all, aheadKey(map.name(target.name), key.slice(aheadKey(target.name, "").length)), value);
  }, NO_RECORDS);
}

function movedCalls(calls: Calls, map: PlanMap): Calls {
  return {
    ...calls,
    targets: calls.targets.map((target) => ({ ...target, node: map.node(target.node), edge: map.edge(target.edge) })),
  };
}

function movedFrame(frame: Frame, map: PlanMap): Frame {
  return {
    ...frame,
    node: frame.kind === "run" ? map.to.entry : map.node(frame.node),
    callers: frame.callers.map(map.node),
    failures: frame.failures.map((failure) => ({ ...failure, node: map.name(failure.node) })),
    skipped: frame.skipped.map(map.name),
    ...(frame.edge !== undefined && { edge: map.edge(frame.edge) }),
  };
}

function movedInstance(instance: Instance, map: PlanMap): Instance {
  return {
    ...instance,
    fork: map.node(instance.fork),
    targets: instance.targets?.map(map.node) ?? null,
    standing: IntMap.from([...instance.standing.entries()].map(([end, count]) => [map.end(end), count] as const)),
    barriers: instance.barriers.map((barrier) => movedBarrier(barrier, map)),
    decided: renumbered(instance.decided, map.end),
  };
}

function movedBarrier(barrier: Barrier, map: PlanMap): Barrier {
  return {
    ...barrier,
    end: map.end(barrier.end),
    failures: barrier.failures.map((failure) => ({ ...failure, node: map.name(failure.node) })),
    arrivals: GrowingList.from(
      Array.from(barrier.arrivals, (arrival) => ({ ...arrival, late: movedKeys(arrival.late, map) })),
    ),
    late: movedKeys(barrier.late, map),
  };
}
