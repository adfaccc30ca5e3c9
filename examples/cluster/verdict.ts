// Verdict: what the log, and the hosts' own notes beside it, say about a run whose owner was killed.

import type { RunEvent } from "orchestra";

/** An agent function that began, noted by the host it began on. */
export interface Start {
  readonly host: string;
  readonly sessionId: string;
  readonly node: string;
  readonly stepId: string;
}

export interface Verdict {
  readonly recorded: number;
  /** Steps begun, by host. */
  readonly begunOn: ReadonlyMap<string, number>;
  /** In flight on the host that was killed, so begun again elsewhere: `node (stepId)`. */
  readonly runAgain: readonly string[];
  /** What must not be; empty when all promises held. */
  readonly violations: readonly string[];
}

/**
 * `events` are all of the session's, from its log. `shown`: the steps that were told as finished before `killed`, a host, was killed.
 */
export function judge(
  events: readonly RunEvent[],
  starts: readonly Start[],
  { killed, shown }: { readonly killed: string; readonly shown: readonly string[] },
): Verdict {
  const violations: string[] = [];
  const results = new Map<string, number>();
  for (const event of events)
    if (event.type === "step.succeeded") results.set(event.stepId, (results.get(event.stepId) ?? 0) + 1);
  for (const [stepId, count] of results) if (count !== 1) violations.push(`${stepId} has ${count} recorded results`);
  const completed = events.filter(({ type }) => type === "run.completed").length;
  if (completed !== 1) violations.push(`the run completed ${completed} times`);
  for (let i = 1; i < events.length; i++)
    if (events[i]!.seq <= events[i - 1]!.seq)
      violations.push(`event ${events[i]!.seq} came after ${events[i - 1]!.seq}`);

  const begun = groupBy(starts, ({ stepId }) => stepId);
  for (const stepId of shown) {
    if (!results.has(stepId)) violations.push(`${stepId} was shown as finished, but the log has no result of it`);
    if ((begun.get(stepId)?.length ?? 0) > 1) violations.push(`${stepId} was finished before the kill, and ran again`);
  }
  const runAgain: string[] = [];
  for (const [stepId, all] of begun) {
    if (all.length === 1) continue;
    if (all.some(({ host }) => host === killed)) runAgain.push(`${all[0]!.node} (${stepId})`);
    else violations.push(`${stepId} ran on ${all.map(({ host }) => host).join(" and ")}, none of which was killed`);
  }
  const begunOn = new Map([...groupBy(starts, ({ host }) => host)].map(([host, all]) => [host, all.length]));
  return { recorded: results.size, begunOn, runAgain, violations };
}

export function verdictText({ recorded, begunOn, runAgain, violations }: Verdict, shown: number): string {
  if (violations.length > 0) return violations.map((line) => `BROKEN: ${line}`).join("\n");
  return [
    `steps in the log           ${recorded}, each with exactly one result`,
    `begun                      ${[...begunOn].map(([host, count]) => `${count} on ${host}`).join(", ")}`,
    `finished before the kill   ${shown}, none of them run again`,
    `in flight at the kill      ${runAgain.length === 0 ? "none" : `${runAgain.join(", ")}: run again, as promised`}`,
  ].join("\n");
}

function groupBy<T>(all: readonly T[], key: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return groups;
}
