// Simulated network
//
// Owns:      what becomes of messages between hosts and the one server they share.
// Does not:  know what the messages say.
//
// N1  A message takes its time, may come late, twice or never; an answer may be lost after what it answers was done.
// N2  Whoever waits for an answer gets one, or hears within `ANSWER_MS` that there was none: then it may have been done or not,
//     and may still be done later.
// N3  A host that is cut off hears nothing, or is not heard, or both. What it sent meanwhile is lost, or comes once it is
//     back. Afterwards it is told that it was away.

import { OrchestraError } from "../../base/errors.ts";
import { closedError } from "../../bus/closed-error.ts";
import { between } from "./chance.ts";
import { Scope } from "./scheduler.ts";
import type { Machine, Process } from "./sim-machine.ts";

const ANSWER_MS = 5_000;
/** Longest journey of a message that is not late. */
const JOURNEY_MS = 2;
const LATE_MS_MAX = 3_000;

/** Nobody answered. Whether anything was done is not known. */
export class Unanswered extends Error {
  override readonly name = "Unanswered";
}

export type Cut = "nothing" | "to the bus" | "from the bus" | "both";

export class SimNetwork {
  readonly machine: Machine;
  /** The server: it outlives everyone. */
  readonly scope = new Scope("bus");
  /** It answers nobody. */
  away = false;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  connect(process: Process): Connection {
    return new Connection(this, process);
  }
}

export class Connection {
  readonly process: Process;
  readonly #network: SimNetwork;
  readonly #onBack = new Set<() => void>();
  readonly #onReach = new Set<(reached: boolean) => void>();
  /** What is to happen in the process because of a message. */
  readonly #due = new Set<() => void>();
  readonly #asking = new Set<(error: Error) => void>();
  #closed = false;
  #cut: Cut = "nothing";
  #keptBack: (() => void)[] = [];

  constructor(network: SimNetwork, process: Process) {
    this.#network = network;
    this.process = process;
  }

  /** Messages go both ways. */
  get isWhole(): boolean {
    return this.#cut === "nothing" && !this.process.scope.frozen && this.process.scope.alive;
  }

  /** N3. */
  cut(cut: Cut): void {
    const wasCut = this.#cut !== "nothing";
    this.#cut = cut;
    this.reachChanged();
    if (cut !== "nothing" || !wasCut) return;
    for (const send of this.#keptBack.splice(0)) send();
    this.#network.machine.scheduler.after(this.process.scope, 0, "connected again", () => {
      for (const tell of this.#onBack) tell();
    });
  }

  /** Called each time the connection is whole again. Returns the way to stop. */
  onBack(tell: () => void): () => void {
    this.#onBack.add(tell);
    return () => void this.#onBack.delete(tell);
  }

  /** Told when messages can go both ways, or not any more, as the server finds out. Returns the way to stop. */
  onReach(tell: (reached: boolean) => void): () => void {
    this.#onReach.add(tell);
    return () => void this.#onReach.delete(tell);
  }

  reachChanged(): void {
    for (const tell of this.#onReach) tell(this.isWhole);
  }

  /** N2. @throws {Unanswered} */
  request<T>(label: string, act: () => T | Promise<T>): Promise<T> {
    const { machine } = this.#network;
    const { scope } = this.process;
    return new Promise((resolve, reject) => {
      if (!scope.alive) return;
      if (this.#closed) throw closedError(label);
      let settled = false;
      const settle = (tell: () => void): void => {
        if (settled) return;
        settled = true;
        giveUp();
        this.#asking.delete(refuse);
        tell();
      };
      const refuse = (error: Error): void => settle(() => reject(error));
      const giveUp = this.#later(ANSWER_MS, `${label} is not answered`, () => refuse(new Unanswered(label)));
      this.#asking.add(refuse);
      const answer = (tell: () => void): void => this.deliver(`${label} answers`, () => settle(tell));
      this.send(label, () => {
        if (this.#network.away) {
          answer(() => reject(new Unanswered(`${label}: 503`)));
          return;
        }
        attempt(act).then(
          (value) => {
            if (machine.faults.strikes("lost-acknowledgement") === undefined) answer(() => resolve(value));
          },
          (error: unknown) => answer(() => reject(error as Error)),
        );
      });
    });
  }

  /** As `request`, again and again for `patienceMs`. @throws {OrchestraError} `ORCH_BUS_UNREACHABLE` */
  async insist<T>(label: string, act: () => T | Promise<T>, patienceMs = 30_000): Promise<T> {
    const { scheduler } = this.#network.machine;
    const untilMs = scheduler.nowMs + patienceMs;
    for (let waitMs = 50; ; waitMs = Math.min(2 * waitMs, 1_000)) {
      try {
        return await this.request(label, act);
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        if (scheduler.nowMs + waitMs > untilMs)
          throw new OrchestraError("ORCH_BUS_UNREACHABLE", `${label}: no answer from the bus`, { cause: error });
        await this.sleep(waitMs, `${label} waits`);
      }
    }
  }

  sleep(ms: number, label: string): Promise<void> {
    return new Promise((resolve) => this.#later(ms, label, resolve));
  }

  /** Nothing comes any more; who waits for an answer is told so. */
  close(): void {
    this.#closed = true;
    for (const refuse of [...this.#asking]) refuse(closedError("a call"));
    for (const cancel of [...this.#due]) cancel();
  }

  /** One way to the bus. */
  send(label: string, act: () => void): void {
    const { machine, scope } = this.#network;
    const { scheduler, faults, random } = machine;
    if (!this.process.scope.alive) return;
    if (this.#cut === "to the bus" || this.#cut === "both") {
      if (random.next() < 0.5) this.#keptBack.push(() => this.send(label, act));
      return;
    }
    if (faults.strikes("lost-message") !== undefined) return;
    scheduler.after(scope, this.#journeyMs(), label, act);
    if (faults.strikes("repeated") !== undefined) scheduler.after(scope, this.#journeyMs(), `${label} again`, act);
  }

  /** One way from the bus. */
  deliver(label: string, act: () => void): void {
    const { faults } = this.#network.machine;
    if (this.#cut === "from the bus" || this.#cut === "both") return;
    if (this.#closed || faults.strikes("lost-message") !== undefined) return;
    this.#later(this.#journeyMs(), label, act);
  }

  /** As `deliver`, of what somebody looks after by other means. */
  hint(label: string, act: () => void): void {
    if (this.#network.machine.faults.strikes("lost-hint") === undefined) this.deliver(label, act);
  }

  #later(ms: number, label: string, act: () => void): () => void {
    const { scheduler } = this.#network.machine;
    const cancelEvent = scheduler.after(this.process.scope, ms, label, () => {
      this.#due.delete(cancel);
      act();
    });
    const cancel = (): void => {
      this.#due.delete(cancel);
      cancelEvent();
    };
    this.#due.add(cancel);
    return cancel;
  }

  #journeyMs(): number {
    const { faults, random } = this.#network.machine;
    const late = faults.strikes("delayed");
    return late === undefined ? between(random, 0, JOURNEY_MS) : between(late, 1, LATE_MS_MAX);
  }
}

async function attempt<T>(act: () => T | Promise<T>): Promise<T> {
  return act();
}
