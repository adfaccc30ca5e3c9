// Step server
//
// One `serve` of this process: its slots, and the steps that are handed to it.
//
// V1  At most `slots` claims are open. What comes beyond (slots were taken away, or a step of this process took one while a
//     request was out) is kept alive here and goes first once there is a slot.
// V2  Requests of several agents share the slots. With fewer slots than agents they take turns: a glance at each, and when
//     all were empty a short wait at one after the other.
// V3  Once stopped nothing is taken any more; what waits or is on its way is handed back at once.

import { OrchestraError } from "../base/errors.ts";
import type { Claim, StepServer } from "../bus/ports.ts";
import type { DurableConfig } from "./durable-consumer.ts";
import { DurablePull } from "./durable-pull.ts";
import type { NatsLink } from "./link.ts";
import type { HandedStep, OpenClaims } from "./open-claims.ts";
import type { Pulled } from "./pulled.ts";

const TURN_MS = 250;

export interface StepServerPorts {
  readonly link: NatsLink;
  readonly inboxPrefix: string;
  readonly claims: OpenClaims;
  readonly ackWaitMs: number;
  consumerOf(agentToken: string): DurableConfig;
  /** Undefined when it was dealt with and is not to be run. */
  open(pulled: Pulled): Promise<HandedStep | undefined>;
  onStopped(): void;
}

export class NatsStepServer implements StepServer {
  readonly #ports: StepServerPorts;
  readonly #run: (claim: Claim) => Promise<void>;
  readonly #pulls = new Map<string, DurablePull>();
  readonly #waiting: HandedStep[] = [];
  readonly #whenIdle: (() => void)[] = [];
  #slots: number;
  /** Slots in use. */
  #busy = 0;
  /** Claims not yet ended. */
  #open = 0;
  /** Messages being decoded. */
  #arriving = 0;
  /** Requests in a row that came back empty. */
  #empty = 0;
  #stopped = false;
  #cancelBeat: (() => void) | undefined;

  constructor(slots: number, run: (claim: Claim) => Promise<void>, ports: StepServerPorts) {
    checkSlots(slots);
    this.#slots = slots;
    this.#run = run;
    this.#ports = ports;
  }

  /** Takes steps of this agent from the bus, too. */
  addAgent(agentToken: string): void {
    if (this.#stopped || this.#pulls.has(agentToken)) return;
    const { link, inboxPrefix } = this.#ports;
    const pull = new DurablePull({
      link,
      inboxPrefix,
      config: this.#ports.consumerOf(agentToken),
      room: () => this.#roomFor(agentToken),
      waitMs: () => this.#waitMs(),
      onMessage: (pulled) => this.#arrived(pulled),
      onEmpty: () => this.#turn(agentToken),
    });
    this.#pulls.set(agentToken, pull);
    pull.ask();
  }

  get hasFreeSlot(): boolean {
    return !this.#stopped && this.#waiting.length === 0 && this.#busy < this.#slots;
  }

  /** Runs the step in a microtask, or as soon as there is a slot. */
  give(handed: HandedStep): void {
    if (this.#stopped) return this.#handBack(handed);
    if (this.#busy >= this.#slots || this.#waiting.length > 0) {
      this.#waiting.push(handed);
      this.#planBeat();
      return;
    }
    this.#start(handed);
  }

  setSlots(slots: number): void {
    checkSlots(slots);
    this.#slots = slots;
    this.#fill();
  }

  async stop(): Promise<void> {
    await this.halt();
    if (this.#open > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Takes nothing any more; resolves when nothing is on its way, whatever the open claims do. */
  async halt(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true;
      this.#cancelBeat?.();
      this.#ports.onStopped();
      for (const handed of this.#waiting.splice(0)) this.#handBack(handed);
    }
    await Promise.all([...this.#pulls.values()].map((pull) => pull.stop()));
  }

  #handBack(handed: HandedStep): void {
    const { stepId } = handed.step;
    handed
      .handBack(0, "its host stopped serving")
      .catch((error: unknown) => this.#ports.link.logger.warn({ stepId, error }, "a step could not be handed back"));
  }

  get #free(): number {
    return Math.max(0, this.#slots - this.#busy - this.#waiting.length - this.#arriving);
  }

  #roomFor(agentToken: string): number {
    let others = 0;
    for (const [token, pull] of this.#pulls) if (token !== agentToken) others += pull.expected;
    return Math.max(0, Math.min(this.#free - others, Math.ceil(this.#free / this.#pulls.size)));
  }

  #waitMs(): number {
    if (this.#free >= this.#pulls.size) return 30_000;
    return this.#empty < this.#pulls.size ? 0 : TURN_MS;
  }

  /** The next one asks first. */
  #turn(agentToken: string): void {
    this.#empty++;
    const pull = this.#pulls.get(agentToken);
    if (pull !== undefined && this.#pulls.delete(agentToken)) this.#pulls.set(agentToken, pull);
    this.#fill();
  }

  #arrived(pulled: Pulled): void {
    this.#arriving++;
    this.#empty = 0;
    this.#ports
      .open(pulled)
      .catch((error: unknown) => {
        this.#ports.link.logger.error(
          { subject: pulled.subject, error },
          "a step could not be taken; it is handed back",
        );
        pulled.handBack(1_000);
        return undefined;
      })
      .then((handed) => {
        this.#arriving--;
        if (handed === undefined) this.#fill();
        else this.give(handed);
      })
      .catch((error: unknown) => this.#ports.link.logger.error({ error }, "a step could not be given out"));
  }

  #start(handed: HandedStep): void {
    this.#busy++;
    this.#open++;
    queueMicrotask(() =>
      this.#ports.claims.start(
        handed,
        {
          onEnded: () => {
            this.#open--;
            if (this.#open === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
          },
          onSlotFree: () => {
            this.#busy--;
            this.#fill();
          },
        },
        this.#run,
      ),
    );
  }

  #fill(): void {
    while (this.#busy < this.#slots) {
      const handed = this.#waiting.shift();
      if (handed === undefined) break;
      this.#start(handed);
    }
    for (const pull of this.#pulls.values()) pull.ask();
  }

  #planBeat(): void {
    this.#cancelBeat ??= this.#ports.link.clock.setTimer(this.#ports.ackWaitMs / 3, () => {
      this.#cancelBeat = undefined;
      for (const handed of this.#waiting) handed.beat();
      if (this.#waiting.length > 0) this.#planBeat();
    });
  }
}

function checkSlots(slots: number): void {
  if ((Number.isInteger(slots) && slots >= 0) || slots === Infinity) return;
  throw new OrchestraError("ORCH_BAD_OPTION", `slots: expected a whole number from 0, or Infinity, got ${slots}`);
}
