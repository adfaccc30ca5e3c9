// A2A task view: what is known of a task of another process, folded from what its server says of it.

import type { Artifact, Message, Part, StreamResponse, Task, TaskStatus } from "@a2a-js/sdk";

import type { UsageReport } from "../../runtime/agent.ts";
import { textOfParts, valueOfArtifacts, valueOfParts } from "./a2a-values.ts";
import { AGENT_ERROR, isFields, readUsage } from "./protocol.ts";
import { RemoteAgentError } from "./remote-error.ts";

type Sdk = typeof import("@a2a-js/sdk");

export interface TaskRef {
  readonly taskId: string;
  readonly contextId: string;
}

/** What a call came to. `task`: where the answer to the question is to go. */
export type A2aEnd =
  | { readonly value: unknown; readonly usage: UsageReport | null }
  | { readonly question: unknown; readonly task: TaskRef };

export class A2aTaskView {
  readonly #sdk: Sdk;
  readonly #emit: (chunk: unknown) => void;
  /** Parts of each. */
  readonly #artifacts = new Map<string, Part[]>();
  #ref: TaskRef | undefined;
  #status: TaskStatus | undefined;
  #message: Message | undefined;
  #metadata: Readonly<Record<string, unknown>> = {};

  constructor(sdk: Sdk, emit: (chunk: unknown) => void) {
    this.#sdk = sdk;
    this.#emit = emit;
  }

  get ref(): TaskRef | undefined {
    return this.#ref;
  }

  get failed(): boolean {
    return this.#status?.state === this.#sdk.TaskState.TASK_STATE_FAILED;
  }

  /** The task goes no further by itself. */
  get ended(): boolean {
    const { TaskState } = this.#sdk;
    const { state } = this.#status ?? {};
    const moving = [TaskState.TASK_STATE_UNSPECIFIED, TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING];
    return this.#message !== undefined || (state !== undefined && !moving.includes(state));
  }

  take({ payload }: StreamResponse): void {
    switch (payload?.$case) {
      case "message":
        this.#message = payload.value;
        return;
      case "task":
        this.takeTask(payload.value);
        return;
      case "statusUpdate": {
        const { taskId, contextId, status, metadata } = payload.value;
        this.#ref ??= { taskId, contextId };
        this.#takeStatus(status, metadata);
        return;
      }
      case "artifactUpdate":
        this.#takeArtifact(payload.value.artifact, payload.value.append);
        return;
      case undefined:
        return;
    }
  }

  takeTask({ id, contextId, status, artifacts, metadata }: Task): void {
    this.#ref = { taskId: id, contextId };
    for (const artifact of artifacts) this.#artifacts.set(artifact.artifactId, [...artifact.parts]);
    this.#takeStatus(status, metadata);
  }

  /** @throws {RemoteAgentError} when the task came to nothing. */
  end(): A2aEnd {
    if (this.#message !== undefined) return { value: valueOfParts(this.#message.parts), usage: null };
    const { TaskState } = this.#sdk;
    const { state, message } = this.#status ?? {};
    if (state === TaskState.TASK_STATE_COMPLETED) {
      const value = this.#artifacts.size > 0 ? valueOfArtifacts([...this.#artifacts.values()]) : null;
      const said = message === undefined ? null : valueOfParts(message.parts);
      return { value: value ?? said, usage: readUsage(this.#metadata["usage"]) };
    }
    if (state === TaskState.TASK_STATE_INPUT_REQUIRED && this.#ref !== undefined)
      return { question: message === undefined ? null : valueOfParts(message.parts), task: this.#ref };
    throw this.#failure(message);
  }

  #failure(message: Message | undefined): RemoteAgentError {
    const { TaskState } = this.#sdk;
    const state = this.#status?.state ?? TaskState.UNRECOGNIZED;
    const told = isFields(message?.metadata) ? message.metadata : {};
    const { code, retryable } = told;
    const codes: Partial<Record<typeof state, string>> = {
      [TaskState.TASK_STATE_CANCELED]: "cancelled",
      [TaskState.TASK_STATE_REJECTED]: "rejected",
      [TaskState.TASK_STATE_AUTH_REQUIRED]: "unauthorized",
    };
    const why = message === undefined ? "" : textOfParts(message.parts);
    const word = this.#sdk.taskStateToJSON(state).replace("TASK_STATE_", "").toLowerCase();
    return new RemoteAgentError(`the task ended ${word}${why === "" ? "" : `: ${why}`}`, {
      remoteCode: typeof code === "string" ? code : (codes[state] ?? AGENT_ERROR),
      retryable: retryable === true,
      details: { ...this.#ref },
    });
  }

  #takeStatus(status: TaskStatus | undefined, metadata: Readonly<Record<string, unknown>> | undefined): void {
    this.#metadata = { ...this.#metadata, ...metadata };
    if (status === undefined) return;
    const before = this.#status?.message?.messageId;
    this.#status = status;
    const { state, message } = status;
    if (state !== this.#sdk.TaskState.TASK_STATE_WORKING || message === undefined || message.messageId === before)
      return;
    const text = textOfParts(message.parts);
    if (text !== "") this.#emit({ type: "status", text });
  }

  #takeArtifact(artifact: Artifact | undefined, append: boolean): void {
    if (artifact === undefined) return;
    const known = this.#artifacts.get(artifact.artifactId);
    const added = append && known !== undefined;
    if (added) for (const part of artifact.parts) known.push(part);
    else this.#artifacts.set(artifact.artifactId, [...artifact.parts]);
    // One that takes the place of what was shown piece by piece is not shown again.
    if (!added && known !== undefined) return;
    for (const { content } of artifact.parts)
      if (content?.$case === "text" && content.value !== "") this.#emit(content.value);
  }
}
