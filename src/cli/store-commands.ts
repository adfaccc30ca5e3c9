// `sessions` and `show`: what a store holds.

import { OrchestraInstance, type RunStatus, type SessionInfo } from "../index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { questionLine } from "./question-line.ts";
import { requiredStore, type StoreFlags } from "./session-options.ts";

const STATUSES: readonly string[] = [
  "running",
  "paused",
  "awaiting_user",
  "completed",
  "failed",
  "cancelled",
  "idle",
] satisfies RunStatus[];

export async function sessionsCommand(
  flags: StoreFlags & { status?: string; limit?: number; json?: boolean },
  io: Io,
): Promise<number> {
  if (flags.status !== undefined && !STATUSES.includes(flags.status))
    throw new UsageError(`--status ${flags.status}: expected one of ${STATUSES.join(", ")}`);
  await using instance = new OrchestraInstance({ stateManager: requiredStore(flags, io) }, { recover: false });
  const sessions = await instance.listSessions({
    ...(flags.status !== undefined && { status: flags.status as RunStatus }),
    ...(flags.limit !== undefined && { limit: flags.limit }),
  });
  if (flags.json) io.out(JSON.stringify(sessions, null, 2));
  else if (sessions.length === 0) io.err("no sessions");
  else
    io.out(
      sessions
        .map((one) =>
          [one.sessionId, one.status.padEnd(13), new Date(one.updatedAtMs).toISOString(), `${one.n} commits`].join(
            "  ",
          ),
        )
        .join("\n"),
    );
  return EXIT.ok;
}

export async function showCommand(
  sessionId: string,
  flags: StoreFlags & { json?: boolean; steps?: boolean; events?: boolean },
  io: Io,
): Promise<number> {
  await using instance = new OrchestraInstance({ stateManager: requiredStore(flags, io) }, { recover: false });
  const session = await instance.getSession(sessionId);
  if (session === null) throw new UsageError(`no session "${sessionId}" in this store`);
  const [why, checkpoints] = [await instance.why(sessionId), await instance.listCheckpoints(sessionId)];
  const result = session.runId === null ? null : await instance.getResult(sessionId);
  if (flags.json) {
    io.out(JSON.stringify({ session, why, checkpoints, result }, null, 2));
    return EXIT.ok;
  }
  const lines = [
    `session      ${session.sessionId}`,
    `status       ${statusOf(session)}${why.pausedReason ? ` (${why.pausedReason})` : ""}`,
    `run          ${session.runId ?? "none"}`,
    `updated      ${new Date(session.updatedAtMs).toISOString()}, ${session.n} commits`,
  ];
  for (const question of result?.metadata.questions ?? []) lines.push(`question     ${questionLine(question)}`);
  for (const { checkpointId, name } of checkpoints) lines.push(`checkpoint   ${checkpointId} ${name}`);
  if (result !== null) {
    lines.push(`steps        ${result.totalSteps}`);
    if (flags.steps)
      for (const step of result.getExecutionTrace())
        lines.push(
          `  ${step.stepId} ${step.node} ${step.error === null ? "ok" : step.error.code} ${step.ended - step.started} ms`,
        );
    if (result.error !== null && (session.status === "failed" || session.status === "cancelled"))
      lines.push(`error        ${result.error.code}: ${result.error.message}`);
    if (result.success) lines.push("", result.getFinalResponseAsText());
  }
  io.out(lines.join("\n"));
  return EXIT.ok;
}

// A folder has one process at a time, so whoever looks into it knows that nobody else is at work.
function statusOf({ sessionId, status }: SessionInfo): string {
  return status === "running" ? `interrupted: its process is gone; orchestra resume ${sessionId} continues it` : status;
}
