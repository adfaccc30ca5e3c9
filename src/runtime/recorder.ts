// Recorder
//
// Folds the events of one run into the branches and steps its result shows. Pure bookkeeping: the same events give
// the same record, whether they come from a live run or from its log.

import type { KernelEvent, StepInput } from "../actors/effects.ts";
import type { Outcome, Usage } from "../actors/facts.ts";
import type { ErrorData } from "../base/errors.ts";
import { FewMap } from "../base/few-map.ts";
import type { Stored } from "../base/stored.ts";
import type { RecordedBranch, RecordedStep } from "./engine-api.ts";
import { listed, listedInput } from "./values.ts";
import type { Values } from "./values.ts";

export const TRACE_MAX = 1_000;
const PATH_MAX = 1_000;

interface BranchRecord {
  readonly branchId: string;
  readonly parentId: string | null;
  readonly nodes: string[];
  status: RecordedBranch["status"];
  readonly input: StepInput;
  value: Stored | undefined;
  stepCount: number;
  readonly startedAtMs: number;
  endedAtMs: number;
  error: ErrorData | null;
}

interface StepRecord {
  readonly stepId: string;
  readonly node: string;
  readonly branchId: string;
  readonly attempt: number;
  readonly input: StepInput;
  readonly startedAtMs: number;
}

type EndedStep = StepRecord & {
  readonly outcome: Outcome | null;
  readonly error: ErrorData | null;
  readonly usage: Usage | null;
  readonly endedAtMs: number;
};

export class Recorder {
  readonly #branches = new FewMap<string, BranchRecord>();
  readonly #open = new FewMap<string, StepRecord>();
  /** Ring of the last TRACE_MAX ended attempts. */
  readonly #trace: EndedStep[] = [];
  #next = 0;
  #ended = 0;
  readonly #checkpointIds: string[] = [];
  startedAtMs = 0;
  #lastAtMs = 0;

  get endedSteps(): number {
    return this.#ended;
  }
  get checkpointIds(): readonly string[] {
    return this.#checkpointIds;
  }
  get lastAtMs(): number {
    return this.#lastAtMs;
  }
  /** The attempt recorded last, for readers that walk a log. */
  lastStep(): RecordedStep | undefined {
    const last = this.#last();
    return last === undefined ? undefined : shown(last);
  }
  /** The same, with values in full that are kept by reference. */
  async lastStepInFull(values: Values): Promise<RecordedStep | undefined> {
    const last = this.#last();
    if (last === undefined) return undefined;
    const { input, outcome } = last;
    return {
      ...shown(last),
      input: await values.resolveInput(input),
      output: outcome === null ? null : await outcomeInFull(outcome, values),
    };
  }
  #last(): EndedStep | undefined {
    return this.#trace[(this.#next + TRACE_MAX - 1) % TRACE_MAX];
  }

  /** Takes in what happened in one commit. */
  fold(events: readonly KernelEvent[], atMs: number): void {
    if (atMs > this.#lastAtMs) this.#lastAtMs = atMs;
    for (const event of events) this.#one(event, atMs);
  }

  #one(event: KernelEvent, atMs: number): void {
    switch (event.type) {
      case "run.started":
        this.#restart(atMs);
        return;
      case "branch.started":
        this.#branches.set(event.branchId, {
          branchId: event.branchId,
          parentId: event.parentId,
          nodes: [event.node],
          status: "running",
          input: event.input,
          value: undefined,
          stepCount: 0,
          startedAtMs: atMs,
          endedAtMs: atMs,
          error: null,
        });
        return;
      case "branch.moved": {
        const branch = this.#branches.get(event.branchId);
        if (branch === undefined) return;
        branch.nodes.push(event.node);
        // Cut now and then, not on every move of a long loop.
        if (branch.nodes.length > PATH_MAX * 2) branch.nodes.splice(0, branch.nodes.length - PATH_MAX);
        return;
      }
      case "step.started": {
        this.#open.set(event.stepId, {
          stepId: event.stepId,
          node: event.node,
          branchId: event.branchId,
          attempt: event.attempt,
          input: event.input,
          startedAtMs: atMs,
        });
        const branch = this.#branches.get(event.branchId);
        if (branch !== undefined && event.attempt === 1) branch.stepCount++;
        return;
      }
      case "step.succeeded":
        this.#end(
          event.stepId,
          event.attempt,
          atMs,
          event.outcome as Outcome,
          null,
          (event.usage as Usage | undefined) ?? null,
          false,
          event.tookMs,
        );
        return;
      case "step.retrying":
        this.#end(event.stepId, event.attempt, atMs, null, event.error, null, true, undefined);
        return;
      case "step.failed":
        this.#end(event.stepId, event.attempt, atMs, null, event.error, null, false, event.tookMs);
        return;
      case "step.cancelled":
        this.#open.delete(event.stepId);
        return;
      case "branch.ended": {
        const branch = this.#branches.get(event.branchId);
        if (branch === undefined) return;
        branch.status = event.status;
        branch.value = event.value;
        branch.error = event.error ?? null;
        branch.endedAtMs = atMs;
        return;
      }
      case "checkpoint.created":
        this.#checkpointIds.push(event.checkpointId);
        return;
      default:
        return;
    }
  }

  #restart(atMs: number): void {
    this.#branches.clear();
    this.#open.clear();
    this.#trace.length = 0;
    this.#next = 0;
    this.#ended = 0;
    this.#checkpointIds.length = 0;
    this.startedAtMs = atMs;
  }

  #end(
    stepId: string,
    attempt: number,
    atMs: number,
    outcome: Outcome | null,
    error: ErrorData | null,
    usage: Usage | null,
    again: boolean,
    tookMs: number | undefined,
  ): void {
    const step = this.#open.get(stepId);
    if (step === undefined) return;
    // Only "step.retrying" leaves the step open: the next attempt starts when it is due.
    if (again) this.#open.set(stepId, { ...step, attempt: attempt + 1, startedAtMs: atMs });
    else this.#open.delete(stepId);
    this.#trace[this.#next] = {
      stepId,
      node: step.node,
      branchId: step.branchId,
      attempt,
      input: step.input,
      startedAtMs: tookMs === undefined ? step.startedAtMs : Math.max(step.startedAtMs, atMs - tookMs),
      outcome,
      error,
      usage,
      endedAtMs: atMs,
    };
    this.#next = (this.#next + 1) % TRACE_MAX;
    this.#ended++;
  }

  /** In commit order, the last TRACE_MAX; big values by reference. */
  trace(): RecordedStep[] {
    const whole = this.#ended <= TRACE_MAX;
    const ordered = whole ? this.#trace : [...this.#trace.slice(this.#next), ...this.#trace.slice(0, this.#next)];
    return ordered.map(shown);
  }

  get traceTruncated(): boolean {
    return this.#ended > TRACE_MAX;
  }

  async branches(values: Values): Promise<RecordedBranch[]> {
    const list: RecordedBranch[] = [];
    for (const branch of this.#branches.values())
      list.push(this.#shown(branch, branch.value === undefined ? null : await values.resolve(branch.value)));
    return list;
  }

  /** The same at once, for a session none of whose values is kept by reference. */
  branchesAtHand(values: Values): RecordedBranch[] {
    return this.#branches
      .values()
      .map((branch) => this.#shown(branch, branch.value === undefined ? null : values.peek(branch.value)?.value));
  }

  #shown(branch: BranchRecord, finalResponse: unknown): RecordedBranch {
    return {
      branchId: branch.branchId,
      parentId: branch.parentId,
      nodes: branch.nodes.slice(-PATH_MAX),
      status: branch.status,
      input: listedInput(branch.input),
      finalResponse,
      stepCount: branch.stepCount,
      startedAtMs: branch.startedAtMs,
      endedAtMs: branch.status === "running" ? Math.max(branch.endedAtMs, this.#lastAtMs) : branch.endedAtMs,
      error: branch.error,
    };
  }
}

function shown(step: EndedStep): RecordedStep {
  return {
    stepId: step.stepId,
    node: step.node,
    branchId: step.branchId,
    attempt: step.attempt,
    input: listedInput(step.input),
    output: step.outcome === null ? null : listedOutcome(step.outcome),
    error: step.error,
    usage: step.usage,
    startedAtMs: step.startedAtMs,
    endedAtMs: step.endedAtMs,
  };
}

/** A plain value as it is; a command as `{ kind, … }` with its values. */
export function listedOutcome(outcome: Outcome): unknown {
  return outcomeData(outcome, listed);
}

async function outcomeInFull(outcome: Outcome, values: Values): Promise<unknown> {
  const stored: Stored[] = [];
  outcomeData(outcome, (one) => stored.push(one));
  const pinned = new Map<string, Uint8Array>();
  await values.pin(stored, pinned);
  return outcomeData(outcome, (one) => values.peekPinned(one, pinned));
}

function outcomeData(outcome: Outcome, valueOf: (stored: Stored) => unknown): unknown {
  switch (outcome.kind) {
    case "value":
    case "final":
      return valueOf(outcome.value);
    case "ask":
      return { kind: "ask", prompt: valueOf(outcome.prompt) };
    case "invoke":
      return { kind: "invoke", agent: outcome.agent, input: valueOf(outcome.input) };
    case "parallel":
      return {
        kind: "parallel",
        items: outcome.items.map((item) => ({ agent: item.agent, input: valueOf(item.input) })),
      };
  }
}
