// Streams
//
// Owns:      attempts begun ahead: the targets of stream edges, started at their source's first chunk.
// Does not:  move the run. Whether a target really runs is decided when its source has succeeded, as for any edge.
//
// T1  An attempt begun ahead becomes the first attempt of the step that the run offers over that edge (`adopt`). Until
//     then nothing of it counts but its journal, kept under `<source step>><node>` so that no attempt repeats a side effect.
// T2  It is aborted when its source fails, is tried again or is stopped, and when the run takes another way.
// T3  Its input is null, since its source has no output yet; what it reads is `ctx.chunks`. A target that was not begun
//     ahead (after a crash, in another process) gets the whole output as its input and as its one chunk.
// T4  Its time limit begins when it is adopted.

import type { Effect, StepOffer } from "../actors/effects.ts";
import type { SessionState } from "../actors/session-state.ts";
import { agentStateOf, journalOf, NO_PLACE, placeOfStep, planOf } from "../actors/view.ts";
import { ChunkFeed } from "./chunk-feed.ts";
import { Execution } from "./execution.ts";
import type { ExecutionPorts } from "./execution.ts";
import type { RunCode } from "./engine-api.ts";
import { describedSuccessors } from "./offered-step.ts";
import type { AbortReason, StepBody, StepEnd } from "./step-wire.ts";

/** What is asked of the session whose steps emit the chunks. */
export interface StreamingSession {
  readonly sessionId: string;
  readonly code: RunCode;
  readonly state: SessionState;
}

interface Ahead {
  readonly execution: Execution;
  readonly end: Promise<StepEnd | null>;
  readonly feed: ChunkFeed;
  readonly letClockRun: () => void;
  /** The step it has become. */
  adoptedAs: string | null;
}

export interface Adopted {
  readonly execution: Execution;
  readonly end: Promise<StepEnd | null>;
}

export class Streams {
  readonly #session: StreamingSession;
  readonly #ports: ExecutionPorts;
  /** By source step, then by target node. */
  readonly #ahead = new Map<string, Map<string, Ahead>>();
  readonly #feeds = new WeakMap<Execution, ChunkFeed>();

  constructor(session: StreamingSession, ports: ExecutionPorts) {
    this.#session = session;
    this.#ports = ports;
  }

  /** A step of the session emitted a chunk. */
  chunk(source: Execution, chunk: unknown): void {
    const { stepId } = source.body.offer;
    let targets = this.#ahead.get(stepId);
    if (targets === undefined) this.#ahead.set(stepId, (targets = this.#begin(source)));
    for (const [node, { feed, execution }] of targets) {
      if (feed.push(chunk)) continue;
      execution.abort("superseded");
      targets.delete(node);
    }
  }

  feedOf(execution: Execution): ChunkFeed | undefined {
    return this.#feeds.get(execution);
  }

  /** The source has succeeded: the steps that follow from it are among `effects`. */
  succeeded(sourceStepId: string, effects: readonly Effect[]): void {
    const targets = this.#ahead.get(sourceStepId);
    if (targets === undefined) return;
    for (const [node, ahead] of targets) {
      ahead.feed.end();
      const taken = effects.some(
        (effect) =>
          effect.type === "step.offer" && effect.offer.node === node && effect.offer.streamedFrom === sourceStepId,
      );
      if (taken) continue;
      ahead.execution.abort("ended");
      targets.delete(node);
    }
    if (targets.size === 0) this.#ahead.delete(sourceStepId);
  }

  /** T2: the source will not come to this end. */
  abandon(sourceStepId: string, reason: AbortReason): void {
    const targets = this.#ahead.get(sourceStepId);
    this.#ahead.delete(sourceStepId);
    for (const { execution, adoptedAs } of targets?.values() ?? []) if (adoptedAs === null) execution.abort(reason);
  }

  /** T1: the attempt that was begun ahead for the first attempt of this step, if there is one. */
  adopt(offer: StepOffer): Adopted | undefined {
    if (offer.streamedFrom === undefined || offer.attempt > 1) return undefined;
    const targets = this.#ahead.get(offer.streamedFrom);
    const ahead = targets?.get(offer.node);
    if (targets === undefined || ahead === undefined) return undefined;
    targets.delete(offer.node);
    if (targets.size === 0) this.#ahead.delete(offer.streamedFrom);
    if (ahead.execution.aborted !== null) return undefined;
    ahead.adoptedAs = offer.stepId;
    ahead.letClockRun();
    return ahead;
  }

  clear(reason: AbortReason): void {
    for (const stepId of [...this.#ahead.keys()]) this.abandon(stepId, reason);
  }

  #begin(source: Execution): Map<string, Ahead> {
    const targets = new Map<string, Ahead>();
    const plan = planOf(this.#session.state);
    const from = plan.nodeByName.get(source.body.offer.node);
    const out = from === undefined ? undefined : plan.nodes[from]?.out;
    for (const id of out?.flow ?? []) {
      const edge = plan.edges[id];
      const node = edge === undefined ? undefined : plan.nodes[edge.to];
      // A rendezvous takes a list of arrivals, not a stream.
      if (
        edge?.data.type !== "stream" ||
        node === undefined ||
        node.act !== "step" ||
        node.rendezvous ||
        targets.has(node.name)
      )
        continue;
      const agentName = node.data.uses ?? node.name;
      const agent = this.#session.code.agents.get(agentName);
      if (agent === undefined) continue;
      const session = this.#session;
      const alias = `${source.body.offer.stepId}>${node.name}`;
      const { state } = session;
      const offer: StepOffer = {
        stepId: alias,
        branchId: source.body.offer.branchId,
        node: node.name,
        attempt: 1,
        input: { kind: "value", value: { v: null } },
        timeoutMs: node.data.timeoutMs ?? source.body.defaultTimeoutMs,
        streamedFrom: source.body.offer.stepId,
      };
      const step: { ahead?: Ahead } = {};
      const body: StepBody = {
        offer,
        kind: node.data.kind,
        inputShape: node.data.input ?? "arrivals",
        topologyHash: source.body.topologyHash,
        defaultTimeoutMs: source.body.defaultTimeoutMs,
        task: source.body.task,
        context: state.context,
        agentState: agentStateOf(state, node.name),
        runs: state.runs,
        // Known once the run has moved there.
        get successors() {
          const stepId = step.ahead?.adoptedAs;
          return stepId ? describedSuccessors(session, stepId) : [];
        },
        get place() {
          const stepId = step.ahead?.adoptedAs;
          return stepId ? placeOfStep(session.state, stepId) : NO_PLACE;
        },
        steeringMode: session.code.steeringMode ?? "auto",
        journal: journalOf(state, alias),
      };
      const message = {
        sessionId: session.sessionId,
        runId: source.runId,
        stepId: alias,
        agent: agentName,
        attempt: 1,
        body,
      };
      const execution = new Execution({ step: message, beat: () => undefined }, agent, source.code, this.#ports);
      const feed = new ChunkFeed();
      this.#feeds.set(execution, feed);
      const letClockRun = execution.hold();
      step.ahead = { execution, end: execution.run(), feed, letClockRun, adoptedAs: null };
      targets.set(node.name, step.ahead);
    }
    return targets;
  }
}
