// A2A task store: tasks in this process's memory, a bounded number of them, each seen by its own caller only.

import type { ListTasksRequest, ListTasksResponse, Part, Task } from "@a2a-js/sdk";
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
    this.#kept.set(task.id, { owner: ownerOf(context), task: copyOf(task) });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > TASKS_MAX && oldest !== undefined) this.#kept.delete(oldest);
    return Promise.resolve();
  }

  load(taskId: string, context: ServerCallContext): Promise<Task | undefined> {
    const kept = this.#kept.get(taskId);
    return Promise.resolve(kept?.owner === ownerOf(context) ? copyOf(kept.task) : undefined);
  }

  async list(request: ListTasksRequest, context: ServerCallContext): Promise<ListTasksResponse> {
    const lister = this.#makeLister();
    const owner = ownerOf(context);
    for (const kept of this.#kept.values()) if (kept.owner === owner) await lister.save(kept.task, context);
    return lister.list(request, context);
  }
}

/**
 * With lists of its own, which the SDK changes; of parts, messages and states, which it does not. It takes a task out and
 * puts it back with every piece of text, so all of this must cost the same however much text there is.
 */
function copyOf(task: Task): Task {
  const artifacts = task.artifacts.map((artifact) => ({ ...artifact, parts: joined(artifact.parts) }));
  return { ...task, artifacts, history: [...task.history] };
}

/** Pieces of text that follow each other as one. */
function joined(parts: readonly Part[]): Part[] {
  const list: Part[] = [];
  for (const part of parts) {
    const last = list.at(-1)?.content;
    const { content } = part;
    if (last?.$case === "text" && content?.$case === "text")
      list.splice(-1, 1, { ...part, content: { $case: "text", value: last.value + content.value } });
    else list.push(part);
  }
  return list;
}

function ownerOf({ user, tenant }: ServerCallContext): string {
  return JSON.stringify([user?.userName ?? "", tenant ?? ""]);
}
