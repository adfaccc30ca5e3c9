// `sessions`, `show` and `why`: what a store holds and what it waits for, looked at without changing it.

import type { SessionView, WhyView } from "../control/index.ts";
import { OrchestraResult } from "../index.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import type { Io, Screen } from "./io.ts";
import { json } from "./json.ts";
import { questionLine } from "./question-line.ts";
import type { StoreFlags } from "./session-options.ts";
import { allSessions, knownSession, withStore, type OpenStore } from "./store-access.ts";
import { paint } from "./style.ts";

export const STATUSES = [
  "running",
  "interrupted",
  "pausing",
  "paused",
  "awaiting_user",
  "completed",
  "failed",
  "cancelled",
  "idle",
] as const satisfies readonly SessionView["status"][];

const SESSIONS_SHOWN = 100;

export async function sessionsCommand(
  flags: StoreFlags & { status?: string; limit?: number; json?: boolean },
  io: Io,
): Promise<number> {
  const status = STATUSES.find((one) => one === flags.status);
  if (flags.status !== undefined && status === undefined)
    throw new UsageError(`--status ${flags.status}: expected one of ${STATUSES.join(", ")}`);
  const limit = flags.limit ?? SESSIONS_SHOWN;
  return withStore(flags, io, async ({ operations }) => {
    const sessions: SessionView[] = [];
    let more = false;
    for await (const session of allSessions(operations, status)) {
      if ((more = sessions.length === limit)) break;
      sessions.push(session);
    }
    if (flags.json) io.out(json(sessions));
    else if (sessions.length === 0) io.err("no sessions");
    else io.out(sessions.map((one) => sessionLine(one, sessions, io.stdout)).join("\n"));
    if (more) io.err(`only the first ${limit} are shown; --limit N shows more`);
    return EXIT.ok;
  });
}

function sessionLine(
  { sessionId, status, updatedAtMs, n }: SessionView,
  among: readonly SessionView[],
  screen: Screen,
): string {
  const width = Math.min(40, Math.max(...among.map((one) => one.sessionId.length)));
  const time = new Date(updatedAtMs).toISOString();
  return `${sessionId.padEnd(width)}  ${statusWord(status, screen)}  ${time}  ${n} commits`;
}

const COLOURS = {
  completed: "green",
  failed: "red",
  cancelled: "red",
  interrupted: "yellow",
  running: "cyan",
  pausing: "cyan",
} as const;

function statusWord(status: SessionView["status"], screen: Screen): string {
  const word = status.padEnd(13);
  return status in COLOURS ? paint(screen, COLOURS[status as keyof typeof COLOURS], word) : word;
}

export async function showCommand(
  sessionId: string,
  flags: StoreFlags & { json?: boolean; steps?: boolean },
  io: Io,
): Promise<number> {
  return withStore(flags, io, async (store) => {
    const session = await knownSession(store, sessionId);
    const [why, checkpoints, data] = await Promise.all([
      store.operations.why({ sessionId }),
      store.operations.checkpoints({ sessionId }),
      store.operations.result({ sessionId }),
    ]);
    if (flags.json) {
      io.out(json({ session, pid: store.pid, why, checkpoints, result: data }));
      return EXIT.ok;
    }
    const lines = [
      `session      ${session.sessionId}`,
      `status       ${statusText(session, store, why)}`,
      `run          ${session.runId ?? "none"}`,
      `updated      ${new Date(session.updatedAtMs).toISOString()}, ${session.n} commits`,
      ...why.questions.map((question) => `question     ${questionLine(question)}`),
      ...checkpoints.map(({ checkpointId, name }) => `checkpoint   ${checkpointId} ${name}`),
      ...(data === null ? [] : resultLines(session, OrchestraResult.fromJSON(data), flags.steps === true)),
    ];
    io.out(lines.join("\n"));
    return EXIT.ok;
  });
}

function resultLines(session: SessionView, result: OrchestraResult, steps: boolean): string[] {
  const lines = [`steps        ${result.totalSteps}`];
  if (steps) {
    for (const step of result.getExecutionTrace())
      lines.push(
        `  ${step.stepId} ${step.node} ${step.error === null ? "ok" : step.error.code} ${step.ended - step.started} ms`,
      );
    // What was stopped has no result, and so is no line above.
    for (const { branchId, nodes, status, durationMs } of result.branchResults)
      if (status === "cancelled" || status === "timed_out")
        lines.push(`  branch ${branchId} ${status} at ${nodes.at(-1)} after ${durationMs} ms`);
  }
  if (result.error !== null && (session.status === "failed" || session.status === "cancelled"))
    lines.push(`error        ${result.error.code}: ${result.error.message}`);
  if (result.success) lines.push("", result.getFinalResponseAsText());
  return lines;
}

function statusText({ sessionId, status }: SessionView, { pid, shared }: OpenStore, why: WhyView): string {
  if (status === "interrupted" && shared)
    return `running, and nobody owns it: ${why.cluster?.unowned ?? "it is being taken over"}`;
  if (status === "running" && why.cluster?.host) return `running on ${why.cluster.host}`;
  if (status === "interrupted") return `interrupted: its process is gone; orchestra resume ${sessionId} continues it`;
  if (status === "running" && pid !== null) return `running in process ${pid}`;
  const { pausedReason } = why;
  const waits = status === "pausing" ? `${pid === null ? "" : ` in process ${pid}`}: ${pausingText(why)}` : "";
  return `${status}${pausedReason ? ` (${pausedReason})` : ""}${waits}`;
}

/** Whom a pause that lets steps in flight finish waits for. */
export function pausingText(why: WhyView): string {
  const { steps, inFlight, recorded, cluster } = why;
  const named = (stepIds: readonly string[]): string[] =>
    steps.filter(({ stepId }) => stepIds.includes(stepId)).map(({ node, stepId }) => `${node} (${stepId})`);
  const waitsFor = named(inFlight);
  if (waitsFor.length > 0)
    return `waits for ${waitsFor.join(", ")}, which ${waitsFor.length === 1 ? "finishes" : "finish"}`;
  // Which of them it has handed out only the owner knows.
  const open = isElsewhere(why)
    ? named(steps.flatMap(({ stepId }) => (recorded.includes(stepId) ? [] : [stepId])))
    : [];
  return open.length === 0
    ? "nothing is in flight any more"
    : `${cluster?.host} waits for those of ${open.join(", ")} that have begun`;
}

function isElsewhere({ cluster, inFlight }: WhyView): boolean {
  return cluster !== undefined && cluster.host !== null && inFlight.length === 0;
}

export async function whyCommand(sessionId: string, flags: StoreFlags & { json?: boolean }, io: Io): Promise<number> {
  return withStore(flags, io, async (store) => {
    const session = await knownSession(store, sessionId);
    const why = await store.operations.why({ sessionId });
    if (flags.json) io.out(json({ sessionId, pid: store.pid, ...why }));
    else io.out([`${sessionId}: ${statusText(session, store, why)}`, ...whyLines(why)].join("\n"));
    return EXIT.ok;
  });
}

function whyLines(why: WhyView): string[] {
  const { steps, barriers, calls, questions, cluster } = why;
  return [
    ...steps.map((step) => {
      const { node, stepId, branchId, attempt } = step;
      const tried = attempt > 1 ? `, attempt ${attempt}` : "";
      return `  step      ${node} (${stepId}, branch ${branchId}${tried}): ${stepText(step, why)}`;
    }),
    ...barriers.map(({ node, arrived, failed, waitsFor, dueAtMs }) => {
      const open = waitsFor.map((one) => (one.branchId === "" ? one.node : `${one.node} (branch ${one.branchId})`));
      const due = dueAtMs === null ? "" : `; until ${new Date(dueAtMs).toISOString()}`;
      return `  join      ${node}: ${arrived.length} arrived${arrived.length > 0 ? ` (${arrived.join(", ")})` : ""}${failed > 0 ? `, ${failed} failed` : ""}; waits for ${open.join(", ") || "nobody"}${due}`;
    }),
    ...calls.map(({ node, waitsFor }) => `  call      ${node} waits for ${waitsFor.join(", ")}`),
    ...questions.map((question) => `  question  ${questionLine(question)}`),
    ...(cluster?.unserved ?? []).map(({ stepId, agent }) => `  unserved  step ${stepId}: no host serves "${agent}"`),
    ...(cluster?.full ?? []).map(
      (stepId) => `  full      step ${stepId}: the queue takes no more; it is offered again`,
    ),
  ];
}

function stepText({ stepId, waiting, notBeforeMs }: WhyView["steps"][number], why: WhyView): string {
  const { status, inFlight, recorded } = why;
  if (recorded.includes(stepId)) return "has ended; followed on resume";
  if (status === "pausing" && inFlight.includes(stepId)) return "finishes";
  if (status === "pausing" && isElsewhere(why)) return "finishes, if it has begun";
  if (notBeforeMs !== undefined && notBeforeMs > Date.now())
    return `tried again at ${new Date(notBeforeMs).toISOString()}`;
  if (waiting) return "in line";
  return status === "running" ? "runs" : "to be run";
}
