// A2A task store: tasks in this process's memory, a bounded number of them, each seen by its own caller only.

import type { ListTasksRequest, ListTasksResponse, Task } from "@a2a-js/sdk";
import type { InMemoryTaskStore, ServerCallContext, TaskStore } from "@a2a-js/sdk/server";

/** Of more, the one that was written to longest ago is forgotten. What came of it stays with the run. */
const TASKS_MAX = 1_000;

interface Kept {
  readonly owner: string;
  readonly task: Task;
}

export class A2aTaskStore implements TaskStore {
  readonly #kept = new Map<string, Kept>();
  readonly #makeLister: () => InMemoryTaskStore;

  /** Listing, with its filters and pages, is the SDK's. */
  constructor(makeLister: () => InMemoryTaskStore) {
    this.#makeLister = makeLister;
  }

  save(task: Task, context: ServerCallContext): Promise<void> {
    this.#kept.delete(task.id);
    this.#kept.set(task.id, { owner: ownerOf(context), task: structuredClone(task) });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > TASKS_MAX && oldest !== undefined) this.#kept.delete(oldest);
    return Promise.resolve();
  }

  load(taskId: string, context: ServerCallContext): Promise<Task | undefined> {
    const kept = this.#kept.get(taskId);
    return Promise.resolve(kept?.owner === ownerOf(context) ? structuredClone(kept.task) : undefined);
  }

  async list(request: ListTasksRequest, context: ServerCallContext): Promise<ListTasksResponse> {
    const lister = this.#makeLister();
    const owner = ownerOf(context);
    for (const kept of this.#kept.values()) if (kept.owner === owner) await lister.save(kept.task, context);
    return lister.list(request, context);
  }
}

function ownerOf({ user, tenant }: ServerCallContext): string {
  return JSON.stringify([user?.userName ?? "", tenant ?? ""]);
}
