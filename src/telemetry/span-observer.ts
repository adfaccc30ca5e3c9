// Span observer
//
// Owns:      the OpenTelemetry spans of the runs it is told of: `invoke_workflow` for each stretch in which a run moves,
//            `invoke_agent` for each attempt of a step, `chat` and `execute_tool` for the calls in it.
// Does not:  export them: that is the SDK's, which the program sets up.
//
// S1  All spans of a run are in one trace, on whatever hosts (trace-ids.ts). What was open when a process died is not exported.
// S2  A span begins and ends when what it tells of did, not when it was told.
// S3  What people, models and tools said is in no span, nor are messages of errors, unless `captureContent` says so.

import type { Context, Link, Span, Tracer, TracerProvider } from "@opentelemetry/api";

import { OrchestraError, type ErrorData } from "../base/errors.ts";
import { optionalPackage } from "../base/optional-package.ts";
import type { RunEvent } from "../runtime/engine-api.ts";
import {
  callAttributes,
  callName,
  messageAttribute,
  runAttributes,
  stepAttributes,
  usageAttributes,
} from "./span-attributes.ts";
import { isSampled, traceOf } from "./trace-ids.ts";

export interface SpanObserverOptions {
  /** Default: the one that is registered with `@opentelemetry/api`. */
  readonly tracerProvider?: TracerProvider;
  /** Of the spans of runs: `gen_ai.workflow.name`. Default: none. */
  readonly workflowName?: string;
  /** Puts inputs, outputs (8,192 characters of each) and messages of errors into spans. Default false. */
  readonly captureContent?: boolean;
  /** The share of runs that is traced, from 0 to 1; the same runs on every host. Default 1. */
  readonly sampleShare?: number;
}

type Api = typeof import("@opentelemetry/api");
type Of<T extends RunEvent["type"]> = Extract<RunEvent, { readonly type: T }>;

interface Stretch {
  readonly span: Span;
  readonly context: Context;
}

/** Runs of which it keeps open spans; of more, the one that began first is let go of. */
const RUNS_MAX = 10_000;

/**
 * Makes an observer that tells runs as OpenTelemetry spans: `observers: [await createSpanObserver()]`, of whoever starts runs
 * or of hosts, and not of both.
 *
 * @throws {OrchestraError} `ORCH_PACKAGE_MISSING` without `@opentelemetry/api`, `ORCH_BAD_OPTION`.
 */
export async function createSpanObserver(options: SpanObserverOptions = {}): Promise<SpanObserver> {
  const { sampleShare = 1 } = options;
  if (!(sampleShare >= 0 && sampleShare <= 1))
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `createSpanObserver: sampleShare: expected a number from 0 to 1, got ${String(sampleShare)}`,
    );
  return new SpanObserver(await optionalPackage("@opentelemetry/api", () => import("@opentelemetry/api")), options);
}

export class SpanObserver {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #options: SpanObserverOptions;
  /** By session and run. */
  readonly #stretches = new Map<string, Stretch>();
  /** By session, step and attempt. */
  readonly #steps = new Map<string, Stretch>();

  /** Use `createSpanObserver`, which loads `api`. */
  constructor(api: Api, options: SpanObserverOptions) {
    this.#api = api;
    this.#tracer = (options.tracerProvider ?? api.trace).getTracer("orchestra");
    this.#options = options;
  }

  observe(event: RunEvent): void {
    if (!isSampled(traceOf(event), this.#options.sampleShare ?? 1)) return;
    switch (event.type) {
      case "run.started":
      case "run.resumed":
      case "run.restored":
        return this.#runMoves(event);
      case "run.completed":
      case "run.failed":
      case "run.cancelled":
      case "run.paused":
      case "run.awaiting_user":
        return this.#runStands(event);
      case "step.started":
        return void this.#openStep(event, event.at);
      case "step.succeeded":
      case "step.failed":
      case "step.retrying":
      case "step.cancelled":
        return this.#endStep(event);
      case "step.called":
        return this.#called(event);
      case "user.asked":
      case "user.answered":
        this.#stretches
          .get(runKey(event))
          ?.span.addEvent(event.type, { "orchestra.question.id": event.questionId }, event.at);
        return;
      case "barrier.fired":
        this.#stretches
          .get(runKey(event))
          ?.span.addEvent(event.type, { "orchestra.node": event.node, "orchestra.arrived": event.arrived }, event.at);
        return;
      default:
        return;
    }
  }

  /** Ends what is open, as it is: for the end of the process. */
  close(): void {
    for (const { span } of [...this.#steps.values(), ...this.#stretches.values()]) span.end();
    this.#steps.clear();
    this.#stretches.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #runMoves(event: Of<"run.started" | "run.resumed" | "run.restored">): void {
    if (this.#stretches.has(runKey(event)) && event.type !== "run.started") return;
    const { span } = this.#openStretch(event);
    if (event.type !== "run.started") return;
    span.setAttribute("orchestra.topology.hash", event.topologyHash);
    if (this.#options.captureContent === true)
      span.setAttributes(messageAttribute("gen_ai.input.messages", event.task));
  }

  #openStretch(event: RunEvent): Stretch {
    const { context, trace } = this.#api;
    // Whoever started the run in this process may be in a trace of its own.
    const caller = trace.getSpanContext(context.active());
    const links: Link[] = caller === undefined ? [] : [{ context: caller }];
    const stretch = this.#open("invoke_workflow", this.#ofRun(event), event.at, {
      attributes: { ...runAttributes(event, this.#options.workflowName), "orchestra.run.began_with": event.type },
      links,
    });
    const [eldest] = this.#stretches.keys();
    if (this.#stretches.size >= RUNS_MAX && eldest !== undefined) {
      this.#stretches.get(eldest)?.span.end();
      this.#stretches.delete(eldest);
    }
    this.#stretches.set(runKey(event), stretch);
    return stretch;
  }

  #runStands(event: Of<"run.completed" | "run.failed" | "run.cancelled" | "run.paused" | "run.awaiting_user">): void {
    const stretch = this.#stretches.get(runKey(event));
    if (stretch === undefined) return;
    const { span } = stretch;
    span.setAttribute("orchestra.run.status", event.type.slice("run.".length));
    if (event.type === "run.failed") this.#failed(span, event.error);
    if (event.type === "run.completed" && this.#options.captureContent === true)
      span.setAttributes(messageAttribute("gen_ai.output.messages", event.value));
    span.end(event.at);
    this.#stretches.delete(runKey(event));
  }

  /** The parent of a run's spans that are made here. */
  #inRun(event: RunEvent): Context {
    // Told of from its midst, when another host had it before.
    return (this.#stretches.get(runKey(event)) ?? this.#openStretch(event)).context;
  }

  #ofRun(event: RunEvent): Context {
    const { trace, ROOT_CONTEXT, TraceFlags } = this.#api;
    return trace.setSpanContext(ROOT_CONTEXT, { ...traceOf(event), traceFlags: TraceFlags.SAMPLED, isRemote: true });
  }

  #openStep(event: Of<"step.started" | "step.succeeded" | "step.failed">, startedAtMs: number): Stretch {
    const step = this.#open(`invoke_agent ${event.node}`, this.#inRun(event), startedAtMs, {
      attributes: stepAttributes(event),
    });
    if (event.type === "step.started" && this.#options.captureContent === true)
      step.span.setAttributes(messageAttribute("gen_ai.input.messages", event.input));
    this.#steps.set(stepKey(event), step);
    return step;
  }

  #endStep(event: Of<"step.succeeded" | "step.failed" | "step.retrying" | "step.cancelled">): void {
    const key = stepKey(event);
    let step = this.#steps.get(key);
    // Begun before this observer was told of the run.
    if (step === undefined && (event.type === "step.succeeded" || event.type === "step.failed"))
      step = this.#openStep(event, event.at - event.tookMs);
    if (step === undefined) return;
    this.#steps.delete(key);
    const { span } = step;
    if (event.type === "step.succeeded") {
      span.setAttributes(usageAttributes(event.usage));
      if (this.#options.captureContent === true)
        span.setAttributes(messageAttribute("gen_ai.output.messages", event.outcome));
    } else if (event.type === "step.cancelled") span.setAttribute("orchestra.cancelled", true);
    else this.#failed(span, event.error);
    span.end(event.at);
  }

  #called(event: Of<"step.called">): void {
    const { call } = event;
    const parent = this.#steps.get(stepKey(event))?.context ?? this.#inRun(event);
    const { span } = this.#open(callName(call), parent, event.at - call.tookMs, {
      attributes: callAttributes(call),
      isClient: call.type === "model.called",
    });
    if (call.error !== undefined) this.#failed(span, call.error);
    span.end(event.at);
  }

  #failed(span: Span, { code, message }: Pick<ErrorData, "code" | "message">): void {
    span.setAttribute("error.type", code);
    const said = this.#options.captureContent === true ? { message } : {};
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR, ...said });
  }

  #open(
    name: string,
    parent: Context,
    startTime: number,
    { attributes, links = [], isClient = false }: { attributes: object; links?: Link[]; isClient?: boolean },
  ): Stretch {
    const kind = isClient ? this.#api.SpanKind.CLIENT : this.#api.SpanKind.INTERNAL;
    const span = this.#tracer.startSpan(name, { kind, startTime, links, attributes: { ...attributes } }, parent);
    return { span, context: this.#api.trace.setSpan(parent, span) };
  }
}

function runKey({ sessionId, runId }: RunEvent): string {
  return `${sessionId}/${runId}`;
}

function stepKey({
  sessionId,
  runId,
  stepId,
  attempt,
}: RunEvent & { readonly stepId: string; readonly attempt: number }): string {
  return `${sessionId}/${runId}/${stepId}/${attempt}`;
}
