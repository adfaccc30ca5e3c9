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

/** What is open of a run. */
interface OpenRun {
  /** None while it waits, is paused, or has not been told of. */
  stretch: Stretch | undefined;
  /** By step and attempt. */
  readonly steps: Map<string, Stretch>;
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
  /** By session and run, the eldest first. */
  readonly #runs = new Map<string, OpenRun>();

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
        this.#stretchOf(event)?.span.addEvent(event.type, { "orchestra.question.id": event.questionId }, event.at);
        return;
      case "barrier.fired":
        this.#stretchOf(event)?.span.addEvent(
          event.type,
          { "orchestra.node": event.node, "orchestra.arrived": event.arrived },
          event.at,
        );
        return;
      default:
        return;
    }
  }

  /** Ends what is open, as it is: for the end of the process. */
  close(): void {
    for (const key of this.#runs.keys()) this.#letGo(key);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #runMoves(event: Of<"run.started" | "run.resumed" | "run.restored">): void {
    // Its steps from before are followed no further: those of the restored run have other names.
    if (event.type === "run.restored") this.#letGo(runKey(event), event.at);
    if (this.#stretchOf(event) !== undefined) return;
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
    this.#openRun(event).stretch = stretch;
    return stretch;
  }

  #runStands(event: Of<"run.completed" | "run.failed" | "run.cancelled" | "run.paused" | "run.awaiting_user">): void {
    const run = this.#runs.get(runKey(event));
    if (run?.stretch === undefined) return;
    const { span } = run.stretch;
    span.setAttribute("orchestra.run.status", event.type.slice("run.".length));
    if (event.type === "run.failed") this.#failed(span, event.error);
    if (event.type === "run.completed" && this.#options.captureContent === true)
      span.setAttributes(messageAttribute("gen_ai.output.messages", event.value));
    // A step may outlast a pause, and nothing outlasts the run.
    const stands = event.type === "run.paused" || event.type === "run.awaiting_user";
    if (!stands || run.steps.size === 0) return this.#letGo(runKey(event), event.at);
    span.end(event.at);
    run.stretch = undefined;
  }

  #stretchOf(event: RunEvent): Stretch | undefined {
    return this.#runs.get(runKey(event))?.stretch;
  }

  #openRun(event: RunEvent): OpenRun {
    const known = this.#runs.get(runKey(event));
    if (known !== undefined) return known;
    const [eldest] = this.#runs.keys();
    if (this.#runs.size >= RUNS_MAX && eldest !== undefined) this.#letGo(eldest);
    const run: OpenRun = { stretch: undefined, steps: new Map() };
    this.#runs.set(runKey(event), run);
    return run;
  }

  /** Ends what is open of a run, as it is. */
  #letGo(key: string, at?: number): void {
    const { stretch, steps } = this.#runs.get(key) ?? { steps: new Map<string, Stretch>() };
    this.#runs.delete(key);
    for (const step of steps.values()) step.span.end(at);
    stretch?.span.end(at);
  }

  /** The parent of a run's spans that are made here. */
  #inRun(event: RunEvent): Context {
    // Told of from its midst, when another host had it before.
    return (this.#stretchOf(event) ?? this.#openStretch(event)).context;
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
    const { steps } = this.#openRun(event);
    // Handed out again: of the one before nobody will hear.
    steps.get(stepKey(event))?.span.end(event.at);
    steps.set(stepKey(event), step);
    return step;
  }

  #endStep(event: Of<"step.succeeded" | "step.failed" | "step.retrying" | "step.cancelled">): void {
    const key = stepKey(event);
    let step = this.#runs.get(runKey(event))?.steps.get(key);
    // Begun before this observer was told of the run.
    if (step === undefined && (event.type === "step.succeeded" || event.type === "step.failed"))
      step = this.#openStep(event, event.at - event.tookMs);
    if (step === undefined) return;
    this.#runs.get(runKey(event))?.steps.delete(key);
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
    const run = this.#runs.get(runKey(event));
    // Of one that is still at it when its run has ended.
    const parent = (run?.steps.get(stepKey(event)) ?? run?.stretch)?.context ?? this.#ofRun(event);
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

function stepKey({ stepId, attempt }: { readonly stepId: string; readonly attempt: number }): string {
  return `${stepId}/${attempt}`;
}
