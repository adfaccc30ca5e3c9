// Known fields: a topology in a log or snapshot may be of a newer program. A field it has and this program does not know
// may say that a run goes another way, so it is refused rather than passed over.

import { OrchestraError } from "../base/errors.ts";
import type { EdgeData, NodeData, TopologyData, TopologyLimits } from "./types.ts";

type Fields<T> = Readonly<Record<keyof Required<T>, true>>;

const TOPOLOGY: Fields<TopologyData> = {
  v: true,
  nodes: true,
  edges: true,
  entryPoint: true,
  exitPoints: true,
  limits: true,
  rules: true,
  metadata: true,
};
const NODE: Fields<NodeData> = {
  name: true,
  kind: true,
  convergence: true,
  merge: true,
  convergencePolicy: true,
  convergenceTimeoutMs: true,
  parallelCalls: true,
  role: true,
  input: true,
  timeoutMs: true,
  onTimeout: true,
  uses: true,
  metadata: true,
};
const EDGE: Fields<EdgeData> = {
  from: true,
  to: true,
  pattern: true,
  type: true,
  on: true,
  recovery: true,
  condition: true,
  else: true,
  maxVisits: true,
  maxTurns: true,
  timeoutMs: true,
  back: true,
  metadata: true,
};
const LIMITS: Fields<TopologyLimits> = { maxSteps: true, durationMs: true, maxAgents: true, agentTimeoutMs: true };

/** @throws {OrchestraError} `ORCH_STORE_VERSION` naming the first field that only a newer program can have written. */
export function assertFieldsKnown(data: TopologyData): void {
  assertKnown(data, TOPOLOGY, "topology");
  for (const node of data.nodes) assertKnown(node, NODE, `node ${JSON.stringify(node.name)}`);
  for (const edge of data.edges) assertKnown(edge, EDGE, `edge ${JSON.stringify(`${edge.from} -> ${edge.to}`)}`);
  if (data.limits !== undefined) assertKnown(data.limits, LIMITS, "limits");
}

function assertKnown<T extends object>(part: T, known: Fields<T>, what: string): void {
  const field = Object.keys(part).find((key) => !Object.hasOwn(known, key));
  if (field === undefined) return;
  throw new OrchestraError(
    "ORCH_STORE_VERSION",
    `the topology of this run was written by a newer program: ${what} has the field ${JSON.stringify(field)}, which this program does not know`,
    { details: { part: what, field } },
  );
}
