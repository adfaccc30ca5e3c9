// Evidence of recovery: what the log, and a witness beside it, say about a run that was killed and went on.

import type { RunEvent } from "orchestra";

/** An agent function that began, noted by the process it began in. */
export interface Start {
  readonly pid: number;
  /** Step ids are unique within their session only. */
  readonly sessionId: string;
  readonly node: string;
  readonly stepId: string;
}

export interface Evidence {
  readonly recorded: number;
  readonly finishedBeforeKill: readonly string[];
  /** In flight when the process died, so begun again: `node (stepId)`. */
  readonly runAgain: readonly string[];
  /** What must not be; empty when all promises held. */
  readonly violations: readonly string[];
}

interface Killed {
  readonly sessionId: string;
  readonly pid: number;
  /** Steps the killed process had shown as finished. */
  readonly shown: readonly string[];
}

/**
 * `events` are all of the killed session's, from its log; of `starts` only that session's count. A step counts as finished before the kill when the killed process
 * said so, or when the log has its result and only that process ever began it.
 */
export function judgeRecovery(events: readonly RunEvent[], noted: readonly Start[], killed: Killed): Evidence {
  const starts = noted.filter(({ sessionId }) => sessionId === killed.sessionId);
  const violations: string[] = [];
  const results = new Map<string, number>();
  const finished = new Set<string>();
  for (const event of events) {
    if (event.type === "step.succeeded") {
      results.set(event.stepId, (results.get(event.stepId) ?? 0) + 1);
      finished.add(event.stepId);
    }
    if (event.type === "step.started" && finished.has(event.stepId))
      violations.push(`${event.node} (${event.stepId}) started again after its result was recorded`);
  }
  for (const [stepId, count] of results) if (count !== 1) violations.push(`${stepId} has ${count} recorded results`);
  const completed = events.filter(({ type }) => type === "run.completed").length;
  if (completed !== 1) violations.push(`the run completed ${completed} times`);

  const begunLater = new Set(starts.filter(({ pid }) => pid !== killed.pid).map(({ stepId }) => stepId));
  for (const stepId of killed.shown) {
    if (!results.has(stepId)) violations.push(`${stepId} was shown as finished, but the log has no result of it`);
    if (begunLater.has(stepId)) violations.push(`${stepId} was finished before the kill, but its agent ran again`);
  }
  const begunBefore = starts.filter(({ pid }) => pid === killed.pid);
  const runAgain = begunBefore
    .filter(({ stepId }) => begunLater.has(stepId))
    .map(({ node, stepId }) => `${node} (${stepId})`);
  const finishedBeforeKill = begunBefore
    .map(({ stepId }) => stepId)
    .filter((stepId) => results.has(stepId) && !begunLater.has(stepId));
  for (const pid of new Set(starts.map((start) => start.pid))) {
    const own = starts.filter((start) => start.pid === pid).map(({ stepId }) => stepId);
    if (new Set(own).size !== own.length) violations.push(`process ${pid} began a step twice`);
  }
  return { recorded: results.size, finishedBeforeKill, runAgain, violations };
}

export function evidenceText({ recorded, finishedBeforeKill, runAgain, violations }: Evidence): string {
  const lines = [
    `steps in the log           ${recorded}, each with exactly one result`,
    `finished before the kill   ${finishedBeforeKill.length}, none of them run again`,
    `in flight at the kill      ${runAgain.length === 0 ? "none" : `${runAgain.join(", ")}: run again, as promised`}`,
  ];
  return violations.length === 0 ? lines.join("\n") : violations.map((line) => `BROKEN: ${line}`).join("\n");
}
