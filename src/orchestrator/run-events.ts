// Run events
//
// What a run tells, made from the events of its session and so the same on every replay.
//
// V1  `seq` counts from 1 without a hole; the same event has the same number in every process, and after a crash.
// V2  `run.terminal` is told once, and nothing after it.
// V3  `run.started` waits for the first step: a task of more than 16 KiB is listed by its reference, and the step tells what it says.

import type { ErrorData } from "../base/errors.ts";
import type { RunEvent } from "../runtime/engine-api.ts";
import type { CheckResult } from "./check-result.ts";
import { shortQuery } from "./event-room.ts";
import type { Commit } from "./git-history.ts";

export type BudgetName = "iterations" | "duration" | "tokens" | "cost";
export type TerminalReason = "converged" | "budget_exhausted" | "failed" | "cancelled";

export interface MemoryKey {
  readonly key: string;
  readonly namespace: string;
}

/** A search of memory, and what it found, best first. */
export interface Searched {
  /** Name of the node that searched; absent where the run did, before its first iteration. */
  readonly agent?: string;
  /** Its first 200 characters. */
  readonly query: string;
  readonly entries: readonly MemoryKey[];
  /** Entries found besides. */
  readonly more?: number;
}

/** As many as are told one by one, and how many there were besides. */
export interface Searches {
  readonly shown: readonly Searched[];
  readonly more: number;
}

/** What one go of the team left behind, a page of it. */
export interface Recorded {
  readonly commits: readonly Commit[];
  readonly learned: readonly MemoryKey[];
  /** On the first page. */
  readonly searched?: Searches;
  /** There is another page. */
  readonly more: boolean;
}

/** What a run begins with, as its first steps tell: a page of its memory each. */
export interface Prepared {
  /** Its first 6 KiB. */
  readonly description: string;
  /** What its memory was given. */
  readonly seeded: readonly MemoryKey[];
  /** What earlier runs left that fits its description. Absent: it did not ask. */
  readonly recalled?: readonly MemoryKey[];
  /** The commit that was checked out; `""` before the first of a repository, `null` without one. */
  readonly head: string | null;
  /** Names of its checks, in the order in which they are made. */
  readonly checks: readonly string[];
  readonly maxIterations: number;
  /** There is another page. */
  readonly more: boolean;
}

/** How a run ended; the value of its session. */
export interface RunEnd {
  readonly reason: TerminalReason;
  /** Which of its budgets was used up. */
  readonly budget?: BudgetName;
  readonly error?: ErrorData;
}

/** What an event of each type says. */
export interface OrchestratorEventPayloads {
  /** Of a run that was given much, the description's first 6 KiB. */
  "run.started": { readonly description: string };
  /** More than fits one event is told by several. */
  "memory.seeded": { readonly entries: readonly MemoryKey[] };
  /**
   * In iteration 0 the run, by its description; else an agent by `ctx.memory`, told when the team's go has ended, a search that a
   * step repeats when it runs again once. `moreSearches`: those after it that are not told one by one.
   */
  "memory.searched": Searched & { readonly iteration: number; readonly moreSearches?: number };
  "memory.learned": { readonly iteration: number; readonly entries: readonly MemoryKey[] };
  /** `of`: how many there may be. */
  "iteration.started": { readonly iteration: number; readonly of: number };
  "iteration.completed": { readonly iteration: number; readonly of: number; readonly passed: boolean };
  "check.started": { readonly iteration: number; readonly name: string };
  "check.passed": CheckResult & { readonly iteration: number };
  "check.failed": CheckResult & { readonly iteration: number };
  "budget.warning": { readonly budget: string; readonly used: number; readonly limit: number };
  "run.paused": { readonly why: string };
  "run.resumed": Readonly<Record<string, never>>;
  "run.terminal": RunEnd & { readonly iterations: number };
}

export type OrchestratorEventType = keyof OrchestratorEventPayloads;

export type OrchestratorEvent = {
  [T in OrchestratorEventType]: {
    readonly seq: number;
    /** Milliseconds since 1970. */
    readonly ts: number;
    readonly runId: string;
    readonly type: T;
    readonly payload: OrchestratorEventPayloads[T];
  };
}[OrchestratorEventType];

const NOT_PREPARED = Object.freeze({ checks: [], maxIterations: 1 });

type Told = {
  [T in OrchestratorEventType]: { readonly type: T; readonly payload: OrchestratorEventPayloads[T] };
}[OrchestratorEventType];

/** Folds the events of one session, from its first. */
export class RunProjection {
  readonly #runId: string;
  #seq = 0;
  #iteration = 0;
  #isOpen = false;
  #failed = 0;
  #isOver = false;
  #isStill = false;
  #description = "";
  #isStarted = false;
  #prepared: Pick<Prepared, "checks" | "maxIterations"> = NOT_PREPARED;
  #checked = 0;
  readonly #begun = new Set<string>();

  constructor(runId: string) {
    this.#runId = runId;
  }

  /** Iterations that were gone through with all their checks. */
  get iterationsDone(): number {
    return this.#isOpen ? this.#iteration - 1 : this.#iteration;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  next(event: RunEvent): readonly OrchestratorEvent[] {
    if (this.#isOver) return [];
    return this.#fromStart(this.#tell(event)).map((told): OrchestratorEvent => ({
      seq: ++this.#seq,
      ts: event.at,
      runId: this.#runId,
      ...told,
    }));
  }

  /** V3 */
  #fromStart(told: readonly Told[]): readonly Told[] {
    if (this.#isStarted || (told.length === 0 && this.#prepared.checks === NOT_PREPARED.checks)) return told;
    this.#isStarted = true;
    return [{ type: "run.started", payload: { description: this.#description } }, ...told];
  }

  #tell(event: RunEvent): readonly Told[] {
    switch (event.type) {
      case "run.started":
        this.#description = descriptionIn(event.task);
        return [];
      case "step.started":
        return this.#begin(event.node, event.stepId);
      case "step.succeeded":
        return this.#done(event.node, event.outcome);
      case "budget.warning": {
        const { budget, used, limit } = event;
        return [{ type: "budget.warning", payload: { budget, used, limit } }];
      }
      case "run.paused":
        this.#isStill = true;
        return [{ type: "run.paused", payload: { why: event.reason ?? "paused" } }];
      case "run.awaiting_user":
        this.#isStill = true;
        return [{ type: "run.paused", payload: { why: "an agent waits for an answer" } }];
      case "run.resumed":
        if (!this.#isStill) return [];
        this.#isStill = false;
        return [{ type: "run.resumed", payload: {} }];
      case "run.completed":
        return [...this.#completed(), this.#end(event.value as RunEnd)];
      case "run.failed":
        return [this.#end(endOfFailure(event.terminalReason, event.error))];
      case "run.cancelled":
        return [this.#end({ reason: "cancelled" })];
      default:
        return [];
    }
  }

  /** A step that runs again after a crash was told of already. */
  #begin(node: string, stepId: string): readonly Told[] {
    if (this.#begun.has(stepId)) return [];
    if (node === "team") {
      this.#begun.add(stepId);
      const before = this.#completed();
      this.#iteration += 1;
      this.#isOpen = true;
      this.#failed = 0;
      this.#checked = 0;
      const { maxIterations: of } = this.#prepared;
      return [...before, { type: "iteration.started", payload: { iteration: this.#iteration, of } }];
    }
    if (node === "check") {
      this.#begun.add(stepId);
      const name = this.#prepared.checks[this.#checked] ?? "";
      this.#checked += 1;
      return [{ type: "check.started", payload: { iteration: this.#iteration, name } }];
    }
    return [];
  }

  #done(node: string, outcome: unknown): readonly Told[] {
    if (node === "check") {
      const result = outcome as CheckResult;
      if (!result.passed) this.#failed += 1;
      const payload = { iteration: this.#iteration, ...result };
      return [{ type: result.passed ? "check.passed" : "check.failed", payload }];
    }
    if (node === "prepare") {
      const { seeded, recalled, ...prepared } = outcome as Prepared;
      this.#prepared = prepared;
      if (this.#description === "") this.#description = prepared.description;
      const query = shortQuery(this.#description);
      return [
        ...(seeded.length > 0 ? [{ type: "memory.seeded", payload: { entries: seeded } } as const] : []),
        ...(recalled !== undefined
          ? [{ type: "memory.searched", payload: { iteration: 0, query, entries: recalled } } as const]
          : []),
      ];
    }
    if (node === "team") {
      // Of a team that came to something `record` tells, whose outcome is small.
      const { type, searched } = outcome as { type?: string; searched?: Searches };
      return type === "done" ? [] : this.#searched(searched);
    }
    if (node === "record") {
      const { learned, searched } = outcome as Recorded;
      const payload = { iteration: this.#iteration, entries: learned };
      return [
        ...this.#searched(searched),
        ...(learned.length > 0 ? [{ type: "memory.learned", payload } as const] : []),
      ];
    }
    return [];
  }

  #searched({ shown, more }: Searches = { shown: [], more: 0 }): readonly Told[] {
    return shown.map((search, i) => ({
      type: "memory.searched",
      payload: {
        iteration: this.#iteration,
        ...search,
        ...(more > 0 && i === shown.length - 1 && { moreSearches: more }),
      },
    }));
  }

  #completed(): readonly Told[] {
    if (!this.#isOpen) return [];
    this.#isOpen = false;
    const payload = {
      iteration: this.#iteration,
      of: this.#prepared.maxIterations,
      passed: this.#failed === 0,
    };
    return [{ type: "iteration.completed", payload }];
  }

  #end(end: RunEnd): Told {
    this.#isOver = true;
    return { type: "run.terminal", payload: { ...end, iterations: this.iterationsDone } };
  }
}

/** All that a session's events, from its first, tell of its run. */
export async function foldRunEvents(
  runId: string,
  events: AsyncIterable<RunEvent>,
): Promise<readonly OrchestratorEvent[]> {
  const projection = new RunProjection(runId);
  const told: OrchestratorEvent[] = [];
  for await (const event of events) told.push(...projection.next(event));
  return told;
}

function endOfFailure(terminalReason: string, error: ErrorData): RunEnd {
  const budget = budgetOf(terminalReason);
  return budget === undefined ? { reason: "failed", error } : { reason: "budget_exhausted", budget, error };
}

/** Of the kernel's terminal reasons, those that are budgets of a run. */
const BUDGETS: Readonly<Record<string, BudgetName>> = { tokens: "tokens", cost: "cost", duration: "duration" };

export function budgetOf(terminalReason: string): BudgetName | undefined {
  return BUDGETS[terminalReason];
}

/** Of a task that is listed by reference, its text is not at hand. */
function descriptionIn(task: unknown): string {
  const { description } = task as { description?: unknown };
  return typeof description === "string" ? description : "";
}
