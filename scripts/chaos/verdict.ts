// Verdict
//
// What became of each session, by its log and by what its callers were told; and how often its steps were begun, by what
// the agents wrote down. Pure: takes what was read, returns the counts.
//
// lost      asked for, and it has no log, or a log without an end.
// wrong     ended otherwise than it must, by its log or for its caller.
// repeated  a step's result stands in the log twice.
// forked    commits are missing or double, an epoch falls, or one epoch has two writers.

import type { Commit } from "../../src/state/ports.ts";

export interface SessionHistory {
  readonly sessionId: string;
  readonly commits: readonly Commit[];
  /** Why the log could not be read to its end. */
  readonly unreadable?: string;
  readonly status: string | undefined;
  readonly result: unknown;
  readonly expected: string;
  /** What callers were told, each time they asked. */
  readonly told: readonly unknown[];
  /** Beginnings, by step. */
  readonly starts: ReadonlyMap<string, number>;
}

export interface Verdict {
  readonly sessions: number;
  readonly steps: number;
  readonly lost: readonly string[];
  readonly wrong: readonly string[];
  readonly repeated: readonly string[];
  readonly forked: readonly string[];
  readonly takeovers: number;
  /** Steps begun once more than needed, beside all steps. */
  readonly executedTwice: number;
}

export function judge(histories: readonly SessionHistory[]): Verdict {
  const lost: string[] = [];
  const wrong: string[] = [];
  const repeated: string[] = [];
  const forked: string[] = [];
  let steps = 0;
  let again = 0;
  let takeovers = 0;
  for (const history of histories) {
    const { sessionId, commits, status, starts } = history;
    const of = (problem: string): string => `${sessionId}: ${problem}`;
    forked.push(...forksOf(history).map(of));
    repeated.push(...repeatedIn(commits).map((stepId) => of(`step ${stepId} is recorded twice`)));
    takeovers += takeoversIn(commits);
    steps += starts.size;
    for (const count of starts.values()) again += count - 1;
    if (status === undefined) lost.push(of("it has no log"));
    else if (status === "running") lost.push(of(`it has not ended; its last commit is ${commits.at(-1)?.n}`));
    else wrong.push(...wrongIn(history).map(of));
  }
  return {
    sessions: histories.length,
    steps,
    lost,
    wrong,
    repeated,
    forked,
    takeovers,
    executedTwice: ratio(again, steps),
  };
}

export function isGood({ lost, wrong, repeated, forked, sessions }: Verdict): boolean {
  return sessions > 0 && [lost, wrong, repeated, forked].every((list) => list.length === 0);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function wrongIn({ status, result, expected, told }: SessionHistory): string[] {
  const all = [{ who: "its log", what: result }, ...told.map((what) => ({ who: "its caller", what }))];
  return all
    .filter(({ what }) => what !== expected)
    .map(({ who, what }) => `${who} says ${JSON.stringify(what)} (${status}), expected ${expected}`);
}

function forksOf({ commits, unreadable }: SessionHistory): string[] {
  const found = unreadable === undefined ? [] : [unreadable];
  const writers = new Map<number, string>();
  let before: Commit | undefined;
  for (const commit of commits) {
    const { n, epoch, host } = commit;
    if (n !== (before?.n ?? 0) + 1) found.push(`commit ${n} follows ${before?.n ?? "none"}`);
    if (epoch < (before?.epoch ?? 0)) found.push(`epoch ${epoch} of commit ${n} follows epoch ${before?.epoch}`);
    // A client writes without an owner: the next who owns has a higher epoch.
    const writer = writers.get(epoch);
    if (writer !== undefined && writer !== host) found.push(`${writer} and ${host} both write in epoch ${epoch}`);
    writers.set(epoch, host);
    before = commit;
  }
  return found;
}

function repeatedIn(commits: readonly Commit[]): string[] {
  const seen = new Set<string>();
  const repeated: string[] = [];
  for (const { facts } of commits)
    for (const fact of facts) {
      if (fact.type !== "step.succeeded") continue;
      if (seen.has(fact.stepId)) repeated.push(fact.stepId);
      seen.add(fact.stepId);
    }
  return repeated;
}

function takeoversIn(commits: readonly Commit[]): number {
  const owners = commits.flatMap(({ facts }) => facts.filter((fact) => fact.type === "owned"));
  return owners.filter(({ host }, i) => i > 0 && host !== owners[i - 1]?.host).length;
}
