// A2A executor
//
// Owns:      what a served run looks like as an A2A task: its states, its artifact, its question.
//
// X1  A message is a call whose key is the message's id: a repeated message is answered from the record of its run.
// X2  A task goes on when its caller is gone; it ends by itself or is cancelled.
// X3  A task has one artifact: pieces are appended as they are emitted, the result stands in their place at the end where
//     it is another.

import type { Artifact, Message, Part, TaskState } from "@a2a-js/sdk";
import type { AgentExecutionEvent, AgentExecutor, ExecutionEventBus, RequestContext } from "@a2a-js/sdk/server";

import type { Clock } from "../../base/clock.ts";
import { errorToData } from "../../base/error-data.ts";
import { isOrchestraError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { messageOf, partOf, valueOfParts } from "../remote/a2a-values.ts";
import { RefusedRequest } from "./refused-request.ts";
import type { ServedEnd, ServedRuns } from "./served-runs.ts";
import { doneOf, errorOf } from "./wire-ends.ts";

type Sdk = typeof import("@a2a-js/sdk");

/** Metadata of a task that waits for an answer: the question. */
export const QUESTION = "orchestra.question";
const ARTIFACT_ID = "result";
/** Tasks that wait for people, of which the first is cancelled when there are more. */
const WAITING_MAX = 1_000;

/** A task that has not ended. */
interface OpenTask {
  readonly sessionId: string;
  readonly contextId: string;
  waiting: boolean;
}

export class A2aExecutor implements AgentExecutor {
  readonly #sdk: Sdk;
  readonly #runs: ServedRuns;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #open = new Map<string, OpenTask>();

  constructor(sdk: Sdk, runs: ServedRuns, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#sdk = sdk;
    this.#runs = runs;
    this.#clock = clock;
    this.#logger = logger;
  }

  async execute(request: RequestContext, bus: ExecutionEventBus): Promise<void> {
    const task = new TaskVoice(this.#sdk, this.#clock, request, (event) => bus.publish(event));
    task.begin();
    try {
      const end = await this.#follow(request, task);
      if (end !== undefined) this.#end(request.taskId, task, end);
    } catch (error) {
      this.#open.delete(request.taskId);
      // Closing: whoever sends the message again finds the run where it was left.
      if (isOrchestraError(error, "ORCH_CLOSED")) return;
      const refused = error instanceof RefusedRequest;
      if (!refused)
        this.#logger.error({ taskId: request.taskId, error: errorToData(error) }, "a task could not be run");
      const data = refused ? { code: "overloaded", message: error.message } : errorToData(error);
      task.failed(errorOf(data, !refused || error.status === 429));
    }
  }

  async cancelTask(taskId: string, bus: ExecutionEventBus): Promise<void> {
    const open = this.#open.get(taskId);
    if (open === undefined) return;
    await this.#runs.cancel(open.sessionId);
    // A run under way tells of its end itself.
    if (!open.waiting) return;
    this.#open.delete(taskId);
    const { contextId } = open;
    new TaskVoice(this.#sdk, this.#clock, { taskId, contextId }, (event) => bus.publish(event)).cancelled();
  }

  async #follow({ taskId, contextId, userMessage, task, context }: RequestContext, voice: TaskVoice) {
    const question: unknown = task?.metadata?.[QUESTION];
    const admitted = await this.#runs.admit({
      principal: context.user?.userName ?? "",
      key: userMessage.messageId,
      input: valueOfParts(userMessage.parts),
      messages: [],
      conversation: contextId,
      names: { taskId, contextId },
      context: {},
      ...(typeof question === "string" && { answerTo: question }),
    });
    this.#open.set(taskId, { sessionId: admitted.sessionId, contextId, waiting: false });
    return admitted.follow((chunk) => voice.emitted(chunk), new AbortController().signal);
  }

  #end(taskId: string, task: TaskVoice, { result, retryable, question }: ServedEnd): void {
    const open = this.#open.get(taskId);
    if (question !== undefined && open !== undefined) {
      open.waiting = true;
      this.#boundWaiting();
      return task.asks(question);
    }
    this.#open.delete(taskId);
    if (result.success) task.completed(result.finalResponse, doneOf(result)["usage"]);
    else if (result.status === "cancelled") task.cancelled();
    else task.failed(errorOf(result.error ?? { code: "ORCH_AGENT_FAILED", message: "the run failed" }, retryable));
  }

  #boundWaiting(): void {
    const waiting = [...this.#open].filter(([, open]) => open.waiting);
    const [first] = waiting;
    if (waiting.length <= WAITING_MAX || first === undefined) return;
    this.#open.delete(first[0]);
    this.#runs.cancel(first[1].sessionId).catch((error: unknown) => {
      this.#logger.warn(
        { taskId: first[0], error: errorToData(error) },
        "a task that waited for long was not cancelled",
      );
    });
  }
}

/** What is published of one task. */
class TaskVoice {
  readonly #sdk: Sdk;
  readonly #clock: Clock;
  readonly #request: Pick<RequestContext, "taskId" | "contextId"> & Partial<RequestContext>;
  readonly #publish: (event: AgentExecutionEvent) => void;
  readonly #shown: string[] = [];

  constructor(
    sdk: Sdk,
    clock: Clock,
    request: Pick<RequestContext, "taskId" | "contextId"> & Partial<RequestContext>,
    publish: (event: AgentExecutionEvent) => void,
  ) {
    this.#sdk = sdk;
    this.#clock = clock;
    this.#request = request;
    this.#publish = publish;
  }

  begin(): void {
    const { taskId: id, contextId, task, userMessage } = this.#request;
    const status = this.#status(this.#sdk.TaskState.TASK_STATE_WORKING);
    const history = task?.history ?? (userMessage === undefined ? [] : [userMessage]);
    this.#publish({
      kind: "task",
      // What it asked is being answered.
      data: { id, contextId, status, artifacts: [], history, metadata: { [QUESTION]: null } },
    });
  }

  emitted(chunk: unknown): void {
    if (typeof chunk !== "string" || chunk === "") return;
    this.#artifact([partOf(chunk)], { append: this.#shown.length > 0, lastChunk: false });
    this.#shown.push(chunk);
  }

  completed(value: unknown, usage: unknown): void {
    if (this.#shown.length === 0 || this.#shown.join("") !== value)
      this.#artifact([partOf(value)], { append: false, lastChunk: true });
    this.#update(this.#sdk.TaskState.TASK_STATE_COMPLETED, { metadata: { usage } });
  }

  asks({ id, prompt }: { readonly id: string; readonly prompt: unknown }): void {
    const message = this.#message([partOf(prompt)], `${id}/question`);
    this.#update(this.#sdk.TaskState.TASK_STATE_INPUT_REQUIRED, { message, metadata: { [QUESTION]: id } });
  }

  failed({ message: text, ...told }: Record<string, unknown>): void {
    const message = { ...this.#message([partOf(String(text))], `${this.#request.taskId}/failed`), metadata: told };
    this.#update(this.#sdk.TaskState.TASK_STATE_FAILED, { message });
  }

  cancelled(): void {
    this.#update(this.#sdk.TaskState.TASK_STATE_CANCELED, {});
  }

  #artifact(parts: Part[], piece: { readonly append: boolean; readonly lastChunk: boolean }): void {
    const { taskId, contextId } = this.#request;
    const artifact: Artifact = {
      artifactId: ARTIFACT_ID,
      name: ARTIFACT_ID,
      description: "",
      parts,
      metadata: undefined,
      extensions: [],
    };
    this.#publish({ kind: "artifactUpdate", data: { taskId, contextId, artifact, metadata: undefined, ...piece } });
  }

  #update(
    state: TaskState,
    { message, metadata }: { readonly message?: Message; readonly metadata?: Record<string, unknown> },
  ): void {
    const { taskId, contextId } = this.#request;
    this.#publish({
      kind: "statusUpdate",
      data: { taskId, contextId, status: this.#status(state, message), metadata },
    });
  }

  #status(state: TaskState, message?: Message) {
    return { state, message, timestamp: new Date(this.#clock.nowMs()).toISOString() };
  }

  #message(parts: Part[], messageId: string): Message {
    const { taskId, contextId } = this.#request;
    return messageOf({ messageId, role: this.#sdk.Role.ROLE_AGENT, parts, taskId, contextId });
  }
}
