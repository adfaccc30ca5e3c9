// What is sent along with a step, put together from where its session stands.

import type { StepOffer } from "../actors/effects.ts";
import { agentStateOf, journalOf, planOf, successorsOf } from "../actors/view.ts";
import type { SessionState } from "../actors/session-state.ts";
import type { Stored } from "../base/stored.ts";
import type { NodeData } from "../topology/types.ts";
import type { StepBody } from "./step-wire.ts";
import type { ThrownErrors } from "./thrown.ts";

interface OfferingSession {
  readonly state: SessionState;
  readonly thrown: ThrownErrors;
}

export class OfferedStep implements StepBody {
  readonly offer: StepOffer;
  readonly kind: StepBody["kind"];
  readonly inputShape: StepBody["inputShape"];
  readonly topologyHash: string;
  readonly defaultTimeoutMs: StepBody["defaultTimeoutMs"];
  readonly task: Stored;
  readonly context: StepBody["context"];
  readonly agentState: StepBody["agentState"];
  readonly runs: StepBody["runs"];
  readonly journal: StepBody["journal"];
  readonly #session: OfferingSession;

  constructor(session: OfferingSession, offer: StepOffer, node: NodeData | undefined) {
    const { state } = session;
    const { run } = state;
    if (run === null) throw new TypeError(`session ${state.sessionId} offers a step without a run`);
    this.#session = session;
    this.offer = offer;
    this.kind = node?.kind ?? "agent";
    this.inputShape = node?.input ?? "arrivals";
    this.topologyHash = run.topologyHash;
    this.defaultTimeoutMs = run.limits.stepTimeoutMs;
    this.task = run.task;
    this.context = state.context;
    this.agentState = agentStateOf(state, offer.node);
    this.runs = state.runs;
    this.journal = journalOf(state, offer.stepId);
  }

  /** Worked out when it is read, since few agents look. No field of its own: who encodes the body has to name it. */
  get successors(): StepBody["successors"] {
    return successorsOf(this.#session.state, this.offer.stepId);
  }

  threw(error: unknown): void {
    const { node, branchId } = this.offer;
    this.#session.thrown.note({ node, branchId, error });
  }
}

export function nodeNamed(state: SessionState, name: string): NodeData | undefined {
  const plan = planOf(state);
  const id = plan.nodeByName.get(name);
  return id === undefined ? undefined : plan.nodes[id]?.data;
}
