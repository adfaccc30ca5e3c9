// Upgrade check: what would become of the sessions in a store if this code went on with them. Reads, and changes nothing.

import type { RunStatus } from "../actors/effects.ts";
import { decideMigration, type MigrationVerdict } from "../actors/migration.ts";
import type { RunState, SessionState } from "../actors/session-state.ts";
import { isOrchestraError } from "../base/errors.ts";
import type { SessionEntry, SessionStore } from "../state/ports.ts";
import type { TopologyData } from "../topology/types.ts";
import type { RunCode } from "./engine-api.ts";
import { loadSession } from "./log-fold.ts";
import type { MigrationTarget } from "./migrations.ts";
import { assertCodeWhole } from "./missing-code.ts";
import { standingOf } from "./move-on-resume.ts";

/** What would become of one session. */
export interface UpgradeVerdict {
  readonly sessionId: string;
  readonly status: RunStatus;
  /** Of the topology its run has. */
  readonly topologyHash: string | null;
  /**
   * resumes: `resumeSession` goes on with it. needs_migration: it would be refused, and a migration of its topology to
   * this one lets it go on. cannot: it would be refused, and no migration helps. other: it is of another topology by
   * name and was not looked at.
   */
  readonly verdict: "resumes" | "needs_migration" | "cannot" | "other";
  /** With what it goes on: the topology it has (`same` when that is this one), or by a migration this one. */
  readonly goesOnWith: "same" | "own" | "new" | null;
  /** Nodes it still needs that this topology does not have: a migration has to say what they are called now. */
  readonly nodes: readonly string[];
  /** Why it does not resume, or why it could not move to this topology. */
  readonly reasons: readonly string[];
}

export interface UpgradePorts {
  readonly store: SessionStore;
  readonly nowMs: number;
}

export interface UpgradeQuestion {
  readonly target: MigrationTarget;
  readonly code: RunCode;
  /** Only sessions of these topologies. */
  readonly from?: readonly string[];
}

const PAGE = 200;

/** Of every session that has a run that has not ended, nested ones excepted: they go on with the session around them. */
export async function checkUpgrade(ports: UpgradePorts, question: UpgradeQuestion): Promise<UpgradeVerdict[]> {
  const verdicts: UpgradeVerdict[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await ports.store.listSessions({ limit: PAGE, ...(cursor !== undefined && { cursor }) });
    for (const entry of page) if (isUnfinished(entry)) verdicts.push(await verdictOn(ports, entry, question));
    if (page.length < PAGE) return verdicts;
    cursor = page.at(-1)?.sessionId;
  }
}

function isUnfinished({ status, parentSessionId }: SessionEntry): boolean {
  return parentSessionId === undefined && (status === "running" || status === "paused" || status === "awaiting_user");
}

async function verdictOn(ports: UpgradePorts, entry: SessionEntry, question: UpgradeQuestion): Promise<UpgradeVerdict> {
  const { sessionId, status, topologyHash } = entry;
  const about = { sessionId, status, topologyHash, goesOnWith: null, nodes: [], reasons: [] };
  try {
    const loaded = await loadSession(ports.store, sessionId);
    const state = loaded === null ? null : standingOf(loaded.position.state, ports.nowMs);
    if (!state?.run) return { ...about, verdict: "other" };
    if (!isMeant(state.run, question)) return { ...about, verdict: "other" };
    return { ...about, ...judge(state, state.run, question) };
  } catch (error) {
    if (!isOrchestraError(error)) throw error;
    return { ...about, verdict: "cannot", reasons: [`${error.code}: ${error.message}`] };
  }
}

/** Topologies that name themselves differently have nothing to do with each other; whose name is unknown is looked at. */
function isMeant(run: RunState, { target, from }: UpgradeQuestion): boolean {
  if (from !== undefined) return from.includes(run.topologyHash);
  const [theirs, ours] = [run.topology.metadata?.["name"], target.topology.metadata?.["name"]];
  return typeof theirs !== "string" || typeof ours !== "string" || theirs === ours;
}

type Judged = Pick<UpgradeVerdict, "verdict" | "goesOnWith" | "nodes" | "reasons">;

function judge(state: SessionState, run: RunState, { target, code }: UpgradeQuestion): Judged {
  // What a pause held back has ended it.
  if (run.end !== null) return resumes("own");
  if (run.topologyHash === target.topologyHash) return orMissing(state, run, code, "same");
  const registered = code.migrations?.get(run.topologyHash);
  const move = decideMigration(state, run, registered ?? target);
  if (registered !== undefined) {
    if (move.type !== "moves") return stays(move, []);
    return orMissing(state, { topology: target.topology }, code, "new");
  }
  const missing = missingFor(state, run, code);
  if (missing !== undefined) return stays(move, [missing]);
  // It goes on with the topology it has; what would keep it from moving is told all the same.
  if (move.type === "unmapped") return { ...resumes("own"), nodes: move.nodes };
  return move.type === "refused" ? { ...resumes("own"), reasons: move.reasons } : resumes("own");
}

function resumes(goesOnWith: Judged["goesOnWith"]): Judged {
  return { verdict: "resumes", goesOnWith, nodes: [], reasons: [] };
}

function stays(move: MigrationVerdict, why: readonly string[]): Judged {
  switch (move.type) {
    case "moves":
      return { verdict: "needs_migration", goesOnWith: null, nodes: [], reasons: why };
    case "unmapped":
      return { verdict: "needs_migration", goesOnWith: null, nodes: move.nodes, reasons: why };
    case "refused":
      return { verdict: "cannot", goesOnWith: null, nodes: [], reasons: [...why, ...move.reasons] };
  }
}

function orMissing(
  state: SessionState,
  run: Pick<RunState, "topology" | "conditions">,
  code: RunCode,
  goesOnWith: Judged["goesOnWith"],
): Judged {
  const missing = missingFor(state, run, code);
  return missing === undefined
    ? resumes(goesOnWith)
    : { verdict: "cannot", goesOnWith: null, nodes: [], reasons: [missing] };
}

function missingFor(
  { sessionId }: SessionState,
  run: Pick<RunState, "topology" | "conditions">,
  code: RunCode,
): string | undefined {
  try {
    assertCodeWhole(sessionId, run, code);
    return undefined;
  } catch (error) {
    if (isOrchestraError(error)) return error.message;
    throw error;
  }
}

/** Stands in for code that was not given: agents and condition functions by the names the topology uses. */
export function codeByName(topology: TopologyData, code: RunCode): RunCode {
  const agents = new Set(topology.nodes.map((node) => node.uses ?? node.name));
  const conditions = topology.edges.flatMap(({ condition }) => (condition === undefined ? [] : [condition]));
  return {
    ...code,
    agents: {
      get: (name) => (agents.has(name) ? { name, run: () => null } : undefined),
      names: () => [...agents],
    },
    conditions: Object.fromEntries(conditions.map((name) => [name, () => false])),
  };
}
