// Started fact: a request to run, as the first fact of the run.

import { createHash } from "node:crypto";
import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { entryEdgesToJudge } from "../actors/view.ts";
import type { Ids } from "../base/ids.ts";
import { compilePlan } from "../topology/compile.ts";
import { judge } from "../topology/conditions.ts";
import type { StartRequest } from "./engine-api.ts";
import { conditionsUsed } from "./missing-code.ts";
import type { NewBlobs, Values } from "./values.ts";

/** @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE`, `ORCH_CONDITION` */
export function startedFact(
  { values, ids }: { readonly values: Values; readonly ids: Ids },
  request: StartRequest,
  before: SessionState | undefined,
  blobs: NewBlobs,
): Fact {
  const task = values.store(request.task, "task", blobs);
  const context = request.context === undefined ? undefined : values.storeAll(request.context, "context", blobs);
  const plan = compilePlan(request.topology, request.limits);
  const edges = entryEdgesToJudge(plan);
  const view = { output: request.task, input: request.task, context: request.context ?? {}, task: request.task };
  const held = edges.length === 0 ? [] : judge(plan, edges, view, request.code.conditions);
  const conditions = conditionsUsed(request.topology, request.code.conditions);
  return {
    type: "run.started",
    runId: ids.next("r"),
    task,
    topology: request.topology,
    topologyHash: request.topologyHash,
    limits: request.limits,
    held,
    ...(context === undefined || Object.keys(context).length === 0 ? {} : { context }),
    ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
    ...(request.parent === undefined ? {} : { parent: request.parent }),
    ...(request.fresh === true && before !== undefined ? { fresh: true } : {}),
    ...(request.followUp === true ? { followUp: true } : {}),
    ...(conditions.length === 0 ? {} : { conditions }),
  };
}

export function isSameRun(state: SessionState, request: StartRequest): boolean {
  return request.idempotencyKey !== undefined && state.run?.idempotencyKey === request.idempotencyKey;
}

/** The session of a run that was given a key and no session: the same key finds the same run again. */
export function keyedSessionId(key: string): string {
  return `key_${createHash("sha256").update(key).digest("hex").slice(0, 32)}`;
}
