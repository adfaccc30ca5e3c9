// Network steps: the work queue on the server, as one host offers to it and takes from it.
//
// K1  A host is handed no more than it has slots for. While it cannot be reached it is handed nothing: its requests for work
//     have run out.
// K2  A claim is the worker's until the server has waited long enough for a beat: then another is handed the step, and what
//     the first does with it still counts.

import type { Claim, StepMessage, StepQueue, StepServer } from "../../bus/ports.ts";
import { crossedStep } from "./crossing.ts";
import { KeptSteps } from "./kept-steps.ts";
import type { Connection } from "./sim-network.ts";
import { ACK_WAIT_MS, type SimServer } from "./sim-server.ts";

export interface StepWatch {
  /** The runtime offers a step. */
  offered(step: StepMessage): void;
  /** What the process took hold of. Returns the way to let go. */
  holding(what: string, letGo: () => void): () => void;
}

const LAST_WORD_MS = 5_000;

type Run = (claim: Claim) => Promise<void>;

export class NetworkSteps implements StepQueue {
  readonly kept: KeptSteps;
  readonly #server: SimServer;
  readonly #connection: Connection;
  readonly #watch: StepWatch;
  readonly #localFirst: boolean;

  constructor(server: SimServer, connection: Connection, watch: StepWatch, localFirst: boolean) {
    this.#server = server;
    this.#connection = connection;
    this.#watch = watch;
    this.#localFirst = localFirst;
    this.kept = new KeptSteps({
      connection,
      send: (step) => void this.#send(step).catch(() => undefined),
    });
  }

  async offer(step: StepMessage): Promise<"queued" | "already" | "full"> {
    if (!this.#connection.process.scope.alive) return new Promise(() => undefined);
    this.#watch.offered(step);
    if (this.kept.has(step)) return "already";
    if (this.#localFirst && step.recovered !== true && step.notBeforeMs === undefined && this.kept.take(step))
      return "queued";
    return this.#send(step);
  }

  withdraw(sessionId: string, stepId: string): Promise<boolean> {
    return this.#connection.insist(`withdraw ${stepId}`, () => this.#server.bus.steps.withdraw(sessionId, stepId));
  }

  serve({ agents, slots, run }: { agents?: readonly string[]; slots: number; run: Run }): StepServer {
    const { scope } = this.#connection.process;
    const serving = { agents, slots, busy: 0, run };
    const leave = this.kept.join(serving);
    let wanted = slots;
    let open = 0;
    const idle: (() => void)[] = [];
    const server = this.#server.bus.steps.serve({
      ...(agents !== undefined && { agents }),
      slots,
      run: (claim) => {
        open++;
        return this.#hand(claim, run, () => {
          if (--open === 0) for (const tell of idle.splice(0)) tell();
        });
      },
    });
    // K1.
    const stopSlots = this.#connection.onReach((reached) => server.setSlots(reached ? wanted : 0));
    const stop = (): void => {
      leave();
      stopSlots();
      void server.stop();
    };
    scope.onDeath(stop);
    const letGo = this.#watch.holding("server of steps", stop);
    return {
      setSlots: (now) => {
        wanted = now;
        serving.slots = now;
        server.setSlots(this.#connection.isWhole ? now : 0);
      },
      stop: () => {
        letGo();
        return open === 0 ? Promise.resolve() : new Promise((resolve) => idle.push(resolve));
      },
    };
  }

  depth(agent?: string): number {
    return this.#server.bus.steps.depth(agent);
  }

  #send(step: StepMessage): Promise<"queued" | "already" | "full"> {
    const message = crossedStep(step);
    return this.#connection.insist(`offer ${step.stepId}`, () => this.#server.bus.steps.offer(message));
  }

  /** Resolves, for the server's count of slots, once the worker is through with it or cannot have it any more. */
  #hand(claim: Claim, run: Run, ended: () => void): Promise<void> {
    const { scheduler } = this.#connection.process.machine;
    const { scope } = this.#server.network;
    const { stepId } = claim.step;
    return new Promise((resolve) => {
      let came = false;
      let counted = true;
      const uncount = (): void => {
        if (counted) ended();
        counted = false;
      };
      const through = (): void => {
        uncount();
        // Its last word may still be on its way.
        scheduler.after(scope, ACK_WAIT_MS + LAST_WORD_MS, `slot of ${stepId}`, resolve);
      };
      scheduler.after(scope, ACK_WAIT_MS + 1, `claim ${stepId} came`, () => {
        if (came) return;
        uncount();
        resolve();
      });
      // To one that stands still it comes late, and is run all the same.
      this.#connection.deliver(`claim ${stepId}`, () => {
        came = true;
        run(this.#claimOf(claim)).then(through, through);
      });
    });
  }

  #claimOf(claim: Claim): Claim {
    const { stepId } = claim.step;
    const say = (what: string, act: () => unknown): Promise<void> => {
      this.#connection.send(`${what} ${stepId}`, () => void act());
      return Promise.resolve();
    };
    return {
      step: claim.step,
      delivery: claim.delivery,
      beat: () => void say("beat", () => claim.beat()),
      done: () => say("done", () => claim.done()),
      retry: (delayMs) => say("retry", () => claim.retry(delayMs)),
      giveUp: (reason) => say("give up", () => claim.giveUp(reason)),
    };
  }
}
