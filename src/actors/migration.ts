// Migration: a run that is under way goes on with another topology.
//
// G1  `migrateRun` is part of the reducer: it does what the fact says wherever that can be done at all, so that a log
//     that holds the fact is replayed the same for ever. Whether it should be done is judged before, by `decideMigration`.
// G2  What is behind the places where branches stand is not run again, and what is ahead of them is the new topology's.

import { compilePlan } from "../topology/compile.ts";
import { candidates, ownerOf, ownsEnd } from "./barriers.ts";
import { Draft } from "./draft.ts";
import type { Fact } from "./facts.ts";
import { stepsAndQuestions } from "./lifecycle.ts";
import { edgesLost, movedAgentState, movedRun, nodesNeeded } from "./move-run.ts";
import { GONE, mapPlans, renameProblems, type PlanMap } from "./plan-map.ts";
import type { Reduction } from "./reduction.ts";
import type { Branch, Instance, RunState, SessionState } from "./session-state.ts";

type Migrated = Extract<Fact, { type: "migrated" }>;

/** Where a run is to go on: the fact without its name. */
export type Migration = Omit<Migrated, "type">;

export type MigrationVerdict =
  | { readonly type: "moves" }
  /** Nodes the run still needs that the new topology does not have by that name. */
  | { readonly type: "unmapped"; readonly nodes: readonly string[] }
  | { readonly type: "refused"; readonly reasons: readonly string[] };

type Move =
  | { readonly type: "moved"; readonly map: PlanMap; readonly run: RunState }
  | Exclude<MigrationVerdict, { type: "moves" }>;

/** May the run go on with the new topology, where it stands now? Asked of a run that has not ended and is not paused. */
export function decideMigration(state: SessionState, run: RunState, migration: Migration): MigrationVerdict {
  const move = moveTo(run, migration);
  if (move.type !== "moved") return move;
  const before = new Draft(state, run, move.map.from, state.atMs);
  const after = new Draft(state, move.run, move.map.to, state.atMs);
  const reasons = [...changedKinds(run, move.map), ...lostJoins(after), ...changedJoins(before, after, move.map)];
  return reasons.length === 0 ? { type: "moves" } : { type: "refused", reasons };
}

/** The reducer's part (G1). */
export function migrateRun(
  state: SessionState,
  fact: Migrated,
  atMs: number,
  finish: (draft: Draft, held: readonly number[]) => Reduction,
): Reduction {
  const { run } = state;
  const refuse = (refused: string): Reduction => ({ state, effects: [], events: [], refused });
  if (run === null || run.end !== null) return refuse("no run is under way");
  if (run.pause !== null) return refuse("the run is paused; it is resumed before it moves");
  const move = moveTo(run, fact);
  if (move.type === "unmapped") return refuse(`the new topology lacks ${move.nodes.join(", ")}`);
  if (move.type === "refused") return refuse(move.reasons.join("; "));
  const session = { ...state, agentState: movedAgentState(state.agentState, fact.nodes) };
  const draft = new Draft(session, move.run, move.map.to, atMs);
  for (const timerId of Object.keys(run.timers))
    if (move.run.timers[timerId] === undefined) draft.effects.push({ type: "timer.disarm", timerId });
  for (const [timerId, timer] of Object.entries(move.run.timers))
    if (run.timers[timerId] === undefined && timer.heldSinceMs === null)
      draft.effects.push({ type: "timer.arm", timerId, dueAtMs: timer.dueAtMs });
  draft.effects.push(...stepsAndQuestions(session, move.run));
  draft.events.push({
    type: "run.migrated",
    from: run.topologyHash,
    topologyHash: fact.topologyHash,
    renamed: fact.nodes,
  });
  // A barrier may have nobody left to wait for.
  for (const instance of move.run.instances.values()) draft.touch(instance.id);
  draft.clocks = true;
  return finish(draft, []);
}

function moveTo(run: RunState, { topology, topologyHash, nodes, conditions }: Migration): Move {
  const { errorRouting } = run.limits;
  const from = compilePlan(run.topology, { errorRouting });
  const to = compilePlan(topology, { errorRouting });
  const problems = renameProblems(from, to, nodes);
  if (problems.length > 0) return { type: "refused", reasons: problems };
  const map = mapPlans(from, to, nodes);
  const unmapped = [...nodesNeeded(run, from)].filter((node) => map.node(node) === GONE);
  if (unmapped.length > 0)
    return { type: "unmapped", nodes: unmapped.toSorted((a, b) => a - b).map((node) => from.nodes[node]!.name) };
  const lost = edgesLost(run, map);
  if (lost.length > 0) return { type: "refused", reasons: lost };
  return { type: "moved", map, run: movedRun(run, map, { topologyHash, conditions }) };
}

/** A step goes on as a step, a question to a person as one. */
function changedKinds(run: RunState, { from, to, node }: PlanMap): string[] {
  const reasons = new Set<string>();
  for (const branch of run.branches.values()) {
    const [old, now] = [from.nodes[branch.node]!, to.nodes[node(branch.node)]!];
    if (old.act !== now.act || old.data.kind !== now.data.kind)
      reasons.add(
        `"${old.name}" is of kind ${old.data.kind} in the run and "${now.name}" of kind ${now.data.kind} in the new topology`,
      );
  }
  return [...reasons];
}

/** Barriers at which branches wait already, and where nobody else of their fork would arrive any more. */
function lostJoins(after: Draft): string[] {
  const { plan } = after;
  const reasons: string[] = [];
  for (const instance of after.run.instances.values())
    for (const { end } of instance.barriers) {
      const joins = plan.isReturn(end)
        ? ownsEnd(after, instance, end)
        : ownerOf(after, instance.id, end)?.id === instance.id;
      if (!joins)
        reasons.push(
          `branches of "${after.nodeName(instance.fork)}" wait at "${after.nodeName(plan.nodeOf(end))}", and the new topology does not join them there`,
        );
    }
  return reasons;
}

/** A branch stands at a node that joins it with others in one of the topologies only: with these it would run twice. */
function changedJoins(before: Draft, after: Draft, map: PlanMap): string[] {
  const reasons = new Set<string>();
  for (const branch of before.run.branches.values()) {
    const old = ownerOf(before, branch.instance, branch.node);
    const now = ownerOf(after, branch.instance, map.node(branch.node));
    if (old?.id === now?.id) continue;
    const forks = [old, now].filter((instance) => instance !== null);
    const shared = forks.filter(({ id }) => othersReach(after, after.instance(id), branch, map.node(branch.node)));
    for (const { id } of shared)
      reasons.add(
        `"${after.nodeName(map.node(branch.node))}" joins the branches of "${after.nodeName(after.instance(id).fork)}" in one of the topologies only, and one of them is there while others are on their way`,
      );
  }
  return [...reasons];
}

function othersReach(draft: Draft, instance: Instance, branch: Branch, end: number): boolean {
  return candidates(draft, instance, end).some((one) => !("branch" in one) || one.branch.id !== branch.id);
}
