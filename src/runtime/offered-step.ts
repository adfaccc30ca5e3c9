// What is sent along with a step, put together from where its session stands.

import type { StepOffer } from "../actors/effects.ts";
import { agentStateOf, journalOf, placeOfStep, planOf, successorsOf } from "../actors/view.ts";
import type { SessionState } from "../actors/session-state.ts";
import type { Stored } from "../base/stored.ts";
import type { NodeData } from "../topology/types.ts";
import type { RunCode } from "./engine-api.ts";
import type { BudgetLeft } from "./agent.ts";
import { budgetLeftOf } from "./budget-desk.ts";
import type { StepBody } from "./step-wire.ts";
import type { ThrownErrors } from "./thrown.ts";

interface OfferingSession {
  readonly code: RunCode;
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
  readonly steeringMode: StepBody["steeringMode"];
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
    this.steeringMode = session.code.steeringMode ?? "auto";
  }

  /** Worked out when it is read, since few agents look. */
  get successors(): StepBody["successors"] {
    return describedSuccessors(this.#session, this.offer.stepId);
  }

  get place(): StepBody["place"] {
    return placeOfStep(this.#session.state, this.offer.stepId);
  }

  get budgetLeft(): BudgetLeft {
    return budgetLeftOf(this.#session.state);
  }

  /** What crosses a bus, by its names: of its own accord nothing that is worked out would. */
  toWire(): Omit<StepBody, "threw"> {
    return {
      offer: this.offer,
      kind: this.kind,
      inputShape: this.inputShape,
      topologyHash: this.topologyHash,
      defaultTimeoutMs: this.defaultTimeoutMs,
      task: this.task,
      context: this.context,
      agentState: this.agentState,
      runs: this.runs,
      successors: this.successors,
      place: this.place,
      steeringMode: this.steeringMode,
      journal: this.journal,
      budgetLeft: this.budgetLeft,
    };
  }

  threw(error: unknown): void {
    const { node, branchId } = this.offer;
    this.#session.thrown.note({ node, branchId, error });
  }
}

/** Who may be addressed from the node of a live step, with what is known of each. */
export function describedSuccessors(
  { state, code }: Pick<OfferingSession, "state" | "code">,
  stepId: string,
): StepBody["successors"] {
  return successorsOf(state, stepId).map((successor) => {
    const description = code.agents.get(nodeNamed(state, successor.agent)?.uses ?? successor.agent)?.description;
    return description === undefined ? successor : { ...successor, description };
  });
}

export function nodeNamed(state: SessionState, name: string): NodeData | undefined {
  const plan = planOf(state);
  const id = plan.nodeByName.get(name);
  return id === undefined ? undefined : plan.nodes[id]?.data;
}
