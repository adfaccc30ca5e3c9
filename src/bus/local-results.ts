// Local result register
//
// One result per session, step and attempt: the first wins. Its size is bounded by what the runtime has in flight,
// since a result is forgotten once it is committed.

import { FewMap } from "../base/few-map.ts";
import type { Logger } from "../base/logger.ts";
import type { ResultRegister, StepAttempt, StepResult } from "./ports.ts";
import { closedError } from "./closed-error.ts";

interface Watcher {
  readonly onResult: (result: StepResult) => void;
  stopped: boolean;
}

const FIRST = Promise.resolve("first" as const);
const ALREADY = Promise.resolve("already" as const);
const NOTHING = Promise.resolve();

export class LocalResults implements ResultRegister {
  readonly #logger: Logger;
  readonly #sessions = new Map<string, FewMap<string, readonly StepResult[]>>();
  readonly #watchers = new Map<string, readonly Watcher[]>();
  #untold: { readonly watcher: Watcher; readonly result: StepResult }[] = [];
  #closed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  put(result: StepResult): Promise<"first" | "already"> {
    if (this.#closed) return Promise.reject(closedError("put of a result"));
    const { sessionId, stepId, attempt } = result;
    let steps = this.#sessions.get(sessionId);
    if (steps === undefined) this.#sessions.set(sessionId, (steps = new FewMap()));
    const before = steps.get(stepId);
    if (before?.some((one) => one.attempt === attempt)) return ALREADY;
    steps.set(stepId, before === undefined ? [result] : [...before, result]);
    for (const watcher of this.#watchers.get(sessionId) ?? []) this.#tell(watcher, result);
    return FIRST;
  }

  async get(sessionId: string, stepId: string, attempt: number): Promise<StepResult | undefined> {
    return this.#sessions
      .get(sessionId)
      ?.get(stepId)
      ?.find((one) => one.attempt === attempt);
  }

  async list(sessionId: string): Promise<readonly StepResult[]> {
    return this.#sessions.get(sessionId)?.values().flat() ?? [];
  }

  watch(sessionId: string, onResult: (result: StepResult) => void): () => void {
    const watcher: Watcher = { onResult, stopped: false };
    this.#watchers.set(sessionId, [...(this.#watchers.get(sessionId) ?? []), watcher]);
    return () => {
      watcher.stopped = true;
      const left = (this.#watchers.get(sessionId) ?? []).filter((one) => one !== watcher);
      if (left.length === 0) this.#watchers.delete(sessionId);
      else this.#watchers.set(sessionId, left);
    };
  }

  forget(sessionId: string, one?: StepAttempt): Promise<void> {
    const steps = this.#sessions.get(sessionId);
    if (one === undefined) this.#sessions.delete(sessionId);
    if (one === undefined || steps === undefined) return NOTHING;
    const left = steps.get(one.stepId)?.filter(({ attempt }) => attempt !== one.attempt) ?? [];
    if (left.length > 0) steps.set(one.stepId, left);
    else steps.delete(one.stepId);
    if (steps.size === 0) this.#sessions.delete(sessionId);
    return NOTHING;
  }

  close(): void {
    this.#closed = true;
    this.#sessions.clear();
    this.#watchers.clear();
    this.#untold = [];
  }

  // In a microtask, so that who puts a result is never run through by who waits for it.
  #tell(watcher: Watcher, result: StepResult): void {
    this.#untold.push({ watcher, result });
    if (this.#untold.length > 1) return;
    queueMicrotask(() => {
      const untold = this.#untold;
      this.#untold = [];
      for (const one of untold) this.#call(one.watcher, one.result);
    });
  }

  #call(watcher: Watcher, result: StepResult): void {
    if (watcher.stopped) return;
    try {
      watcher.onResult(result);
    } catch (error) {
      this.#logger.error({ sessionId: result.sessionId, stepId: result.stepId, error }, "result watcher threw");
    }
  }
}
