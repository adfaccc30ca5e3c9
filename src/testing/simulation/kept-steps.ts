// Kept steps: those an owner runs itself, without the bus (local first). Their results stay in the process; the log is what counts.
// When the process dies they are outstanding for the next owner.

import type { Claim, StepMessage } from "../../bus/ports.ts";
import type { Connection } from "./sim-network.ts";

interface Serving {
  readonly agents: readonly string[] | undefined;
  slots: number;
  busy: number;
  readonly run: (claim: Claim) => Promise<void>;
}

export interface KeptPorts {
  readonly connection: Connection;
  /** Hands a step to the bus after all. */
  send(step: StepMessage): void;
}

export class KeptSteps {
  readonly #ports: KeptPorts;
  readonly #open = new Map<string, StepMessage>();
  #serving: readonly Serving[] = [];

  constructor(ports: KeptPorts) {
    this.#ports = ports;
  }

  join(serving: Serving): () => void {
    this.#serving = [...this.#serving, serving];
    return () => (this.#serving = this.#serving.filter((one) => one !== serving));
  }

  has(step: Pick<StepMessage, "sessionId" | "stepId" | "attempt">): boolean {
    return this.#open.has(keyOf(step));
  }

  /** False when nobody here has a free slot for it. */
  take(step: StepMessage): boolean {
    const serving = this.#serving.find(
      ({ agents, slots, busy }) => busy < slots && (agents === undefined || agents.includes(step.agent)),
    );
    if (serving === undefined) return false;
    const key = keyOf(step);
    this.#open.set(key, step);
    serving.busy++;
    const end = (): boolean => this.#open.delete(key);
    const claim: Claim = {
      step,
      delivery: 1,
      beat: () => undefined,
      done: async () => void end(),
      retry: async (delayMs) => {
        const { process } = this.#ports.connection;
        if (end()) process.machine.scheduler.after(process.scope, delayMs, "kept step", () => this.#ports.send(step));
      },
      giveUp: async () => {
        if (end()) this.#ports.send(step);
      },
    };
    const { process } = this.#ports.connection;
    process.machine.scheduler.after(process.scope, 0, `keeps ${step.stepId}`, () => {
      serving.run(claim).then(
        () => this.#ended(serving, key, step),
        () => this.#ended(serving, key, step),
      );
    });
    return true;
  }

  /** Steps of the session are nobody's here any more: what they come to goes to the bus. */
  drop(sessionId: string): void {
    for (const [key, step] of this.#open) if (step.sessionId === sessionId) this.#open.delete(key);
  }

  #ended(serving: Serving, key: string, step: StepMessage): void {
    serving.busy--;
    if (this.#open.delete(key)) this.#ports.send(step);
  }
}

function keyOf({ sessionId, stepId, attempt }: Pick<StepMessage, "sessionId" | "stepId" | "attempt">): string {
  return `${sessionId}/${stepId}/${attempt}`;
}
