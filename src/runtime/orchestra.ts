// Orchestra: one run in one call. It is an instance that lives as long as its run.

import type { OrchestraHandle } from "./handle.ts";
import { OrchestraInstance } from "./orchestra-instance.ts";
import type { OrchestraResult } from "./result.ts";
import { assertRunOptions, type InstanceOptions, type RunOptions, type TaskOptions } from "./run-options.ts";

export const Orchestra = Object.freeze({
  /**
   * Runs a topology on a task and resolves with whatever the run ends in: success, failure, budget, cancel or pause.
   * Lets go of the store with the result.
   *
   * @throws {OrchestraError} for what cannot start, before anything ran: `ORCH_TOPOLOGY_INVALID`, `ORCH_AGENT_UNKNOWN`,
   *   `ORCH_BAD_OPTION`, `ORCH_SESSION_BUSY`, `ORCH_NOT_SERIALIZABLE`, `ORCH_STORE_*`.
   */
  async run(options: RunOptions): Promise<OrchestraResult> {
    const { shared, task } = split(options);
    await using instance = new OrchestraInstance(shared, { recover: false });
    return await instance.execute(task);
  },

  /**
   * The same, watched while it works: iterate the handle for events, await `result` for the result. Both reject for what
   * cannot start; a bad option throws at once.
   */
  stream(options: RunOptions): OrchestraHandle {
    const { shared, task } = split(options);
    const instance = new OrchestraInstance(shared, { recover: false });
    const handle = instance.stream(task);
    const result = thenClose(handle.result, instance);
    result.catch(() => undefined);
    return {
      sessionId: handle.sessionId,
      result,
      get dropped() {
        return handle.dropped;
      },
      pause: (reason) => handle.pause(reason),
      cancel: (reason) => handle.cancel(reason),
      [Symbol.asyncIterator]: () => handle[Symbol.asyncIterator](),
    };
  },
});

async function thenClose(result: Promise<OrchestraResult>, instance: OrchestraInstance): Promise<OrchestraResult> {
  try {
    return await result;
  } finally {
    await instance.close();
  }
}

function split(options: RunOptions): { shared: InstanceOptions; task: TaskOptions } {
  assertRunOptions(options);
  const {
    task,
    context,
    sessionId,
    fresh,
    executionConfig,
    signal,
    idempotencyKey,
    allowFollowUps,
    followUpTimeoutMs,
    ...shared
  } = options;
  const perRun = {
    task,
    context,
    sessionId,
    fresh,
    executionConfig,
    signal,
    idempotencyKey,
    allowFollowUps,
    followUpTimeoutMs,
  };
  return { shared, task: withoutUndefined(perRun) };
}

function withoutUndefined(options: { [K in keyof TaskOptions]: TaskOptions[K] | undefined }): TaskOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    task: TaskOptions["task"];
  };
}
