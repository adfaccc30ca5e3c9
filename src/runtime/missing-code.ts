// Missing code: what a stored run needs of this process and was not given.

import type { RunState } from "../actors/session-state.ts";
import { OrchestraError } from "../base/errors.ts";
import type { TopologyData } from "../topology/types.ts";
import { missingAgents } from "./agent-source.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { RunCode } from "./engine-api.ts";

const NOWHERE: ReadonlySet<string> = new Set();

/** Names on the topology's edges that are functions in `conditions`; they are recorded, since without them they read as labels. */
export function conditionsUsed({ edges }: TopologyData, conditions: RunCode["conditions"]): string[] {
  return named(edges.map((edge) => edge.condition)).filter((name) => Object.hasOwn(conditions, name));
}

/**
 * Asked before anything is committed for a run that is in the store already. `elsewhere`: agents that other hosts serve.
 *
 * @throws {OrchestraError} `ORCH_AGENT_UNKNOWN`, or `ORCH_CONDITION_UNKNOWN` when agents are complete, naming all that is missing.
 */
export function assertCodeWhole(
  sessionId: string,
  run: Pick<RunState, "topology" | "conditions">,
  code: RunCode,
  elsewhere: ReadonlySet<string> = NOWHERE,
): void {
  const agents = missingAgents(run.topology, code.agents, elsewhere);
  const conditions = missingConditions(run, code);
  if (agents === undefined && conditions.length === 0) return;
  const known = Object.keys(code.conditions);
  const lines = conditions.map((name) => `no condition function named "${name}"${didYouMean(name, known)}`);
  const message = `session "${sessionId}" cannot go on here: ${[...(agents === undefined ? [] : [agents.message]), ...lines].join("; ")}`;
  throw new OrchestraError(agents === undefined ? "ORCH_CONDITION_UNKNOWN" : "ORCH_AGENT_UNKNOWN", message, {
    details: { sessionId, ...agents?.details, ...(conditions.length > 0 && { conditions }) },
  });
}

/** The same where only edges are judged. @throws {OrchestraError} `ORCH_CONDITION_UNKNOWN` */
export function assertConditionsKnown(
  sessionId: string,
  run: Pick<RunState, "topology" | "conditions">,
  code: RunCode,
): void {
  if (missingConditions(run, code).length > 0)
    assertCodeWhole(sessionId, { ...run, topology: { ...run.topology, nodes: [] } }, code);
}

function missingConditions({ conditions = [] }: Pick<RunState, "conditions">, code: RunCode): string[] {
  return conditions.filter((name) => !Object.hasOwn(code.conditions, name));
}

function named(names: readonly (string | undefined)[]): string[] {
  return [...new Set(names)].filter((name) => name !== undefined).sort();
}
