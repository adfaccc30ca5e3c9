// Move on resume: a session with a registered migration goes on with the topology it names.

import type { Fact } from "../actors/facts.ts";
import { decideMigration, type MigrationVerdict } from "../actors/migration.ts";
import { reduce } from "../actors/reduce.ts";
import type { RunState, SessionState } from "../actors/session-state.ts";
import { OrchestraError } from "../base/errors.ts";
import type { RunCode } from "./engine-api.ts";
import { resumedFact } from "./answer-fact.ts";
import type { MigrationTarget } from "./migrations.ts";
import { conditionsUsed } from "./missing-code.ts";

export interface Move {
  readonly fact: Fact;
  /** The session once it has moved. */
  readonly state: SessionState;
}

/**
 * What moves a session that is being resumed to the topology its migration names; undefined when there is none for it.
 * Results and answers that a pause held back are followed before, in the topology they were judged on.
 *
 * @throws {OrchestraError} `ORCH_MIGRATION` saying which nodes have no counterpart, or why it cannot move; nothing was changed.
 */
export function moveOnResume(state: SessionState, code: RunCode, nowMs: number): Move | undefined {
  const { run } = state;
  const target = run === null ? undefined : code.migrations?.get(run.topologyHash);
  if (run === null || target === undefined || target.topologyHash === run.topologyHash) return undefined;
  const stands = standingOf(state, nowMs);
  if (stands.run === null || stands.run.end !== null) return undefined;
  const verdict = decideMigration(stands, stands.run, target);
  if (verdict.type !== "moves") throw refusal(state.sessionId, run, target, verdict);
  const conditions = conditionsUsed(target.topology, code.conditions);
  const fact: Fact = { type: "migrated", ...target, ...(conditions.length > 0 && { conditions }) };
  return { fact, state: reduce(stands, fact, nowMs).state };
}

/** The session as it stands when it is resumed. */
export function standingOf(state: SessionState, nowMs: number): SessionState {
  return state.run?.pause == null ? state : reduce(state, resumedFact(state, nowMs), nowMs).state;
}

function refusal(
  sessionId: string,
  run: RunState,
  { topologyHash }: MigrationTarget,
  verdict: Exclude<MigrationVerdict, { type: "moves" }>,
): OrchestraError {
  const why =
    verdict.type === "unmapped"
      ? `the new topology has no ${verdict.nodes.map((node) => `"${node}"`).join(", ")}; say in the migration's nodes what each is called now`
      : verdict.reasons.join("; ");
  return new OrchestraError("ORCH_MIGRATION", `session "${sessionId}" cannot move to the new topology: ${why}`, {
    details: {
      sessionId,
      from: run.topologyHash,
      to: topologyHash,
      ...(verdict.type === "unmapped" ? { nodes: verdict.nodes } : { reasons: verdict.reasons }),
    },
  });
}
