// Asked checkpoints: what other hosts ask of the owner of a session about checkpoints, and how they learn what came of it.

import type { Fact } from "../actors/facts.ts";
import { OrchestraError } from "../base/errors.ts";
import type { InboxCommand } from "../bus/ports.ts";
import type { SessionStore } from "../state/ports.ts";
import { checkpointOf, getCheckpoint, restoredFact } from "./checkpoints.ts";
import type { LogPosition } from "./committer.ts";

/** What the owner commits. The checkpoint is saved before. @throws {OrchestraError} `ORCH_BAD_OPTION`, `ORCH_CHECKPOINT_UNKNOWN`, `ORCH_STORE_*` */
export async function factsOfAskedCheckpoint(
  ports: { readonly store: SessionStore; readonly nowMs: number },
  sessionId: string,
  position: Pick<LogPosition, "state" | "n" | "lastAtMs">,
  command: Pick<InboxCommand, "type" | "body">,
): Promise<Fact[]> {
  const checkpointId = textOf(command, "checkpointId");
  if (command.type === "restore") {
    const checkpoint = await getCheckpoint(ports, checkpointId);
    if (checkpoint.sessionId === sessionId) return [restoredFact(checkpoint)];
    throw new OrchestraError(
      "ORCH_CHECKPOINT_UNKNOWN",
      `checkpoint "${checkpointId}" is one of session "${checkpoint.sessionId}", not of "${sessionId}"`,
      { details: { checkpointId, sessionId } },
    );
  }
  const name = textOf(command, "name");
  await ports.store.saveCheckpoint(checkpointOf(checkpointId, sessionId, name, position, ports.nowMs));
  return [{ type: "checkpointed", checkpointId, name }];
}

/** Whether the session was taken back to the checkpoint by a commit after `afterN`. */
export async function wasRestored(
  store: SessionStore,
  sessionId: string,
  checkpointId: string,
  afterN: number,
): Promise<boolean> {
  for await (const { facts } of store.read(sessionId, afterN + 1))
    if (facts.some((fact) => fact.type === "restored" && fact.checkpointId === checkpointId)) return true;
  return false;
}

function textOf({ type, body }: Pick<InboxCommand, "type" | "body">, key: string): string {
  const value: unknown = typeof body === "object" && body !== null ? Reflect.get(body, key) : undefined;
  if (typeof value === "string") return value;
  throw new OrchestraError("ORCH_BAD_OPTION", `inbox command "${type}": ${key}: expected text`);
}
