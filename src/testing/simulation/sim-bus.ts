// Simulated bus
//
// The bus of one process, as the runtime has it, with every call put through the scheduler: it takes its time, comes late,
// twice or in another order, or is done and not acknowledged. What is told by the bus is never lost for good: no adapter may.

import { createLocalBus } from "../../bus/local-bus.ts";
import type {
  Bus,
  Claim,
  Inbox,
  Journal,
  LiveEvents,
  ResultRegister,
  StepMessage,
  StepQueue,
  StepResult,
} from "../../bus/ports.ts";
import { between } from "./chance.ts";
import type { FaultKind } from "./faults.ts";
import type { GroundParts, SimulatedBus } from "./ground.ts";
import type { Observer } from "./observer.ts";
import { changed } from "./network-results.ts";
import type { Latency } from "./scheduler.ts";
import type { Process } from "./sim-machine.ts";

/** A claim whose worker gives no sign of life for this long is handed out again. */
const ACK_WAIT_MS = 12_000;
/** So often that no step becomes a dead letter for want of acknowledgements. */
const DELIVERIES_MAX = 1_000;

const BUS_FAULTS: ReadonlySet<FaultKind> = new Set(["lost-acknowledgement", "repeated", "delayed", "stall"]);

export class SimBus implements SimulatedBus {
  readonly name = "simulated";
  readonly steps: StepQueue;
  readonly results: ResultRegister;
  readonly journal: Journal;
  readonly inbox: Inbox;
  readonly liveness: Bus["liveness"];
  readonly live: LiveEvents;
  readonly deadLetters: Bus["deadLetters"];
  readonly #inner: Bus;
  readonly #process: Process;
  readonly #observer: Observer;
  readonly #options: GroundParts;
  /** What was taken hold of and not let go, for L3. */
  readonly #held = new Map<string, number>();
  readonly #turns = new Map<string, Promise<unknown>>();
  /** Steps whose result came when they had ended already: it stays until the bus itself lets go of it. */
  readonly #tooLate = new Set<string>();
  /** Faults that had struck when this bus began. */
  readonly #struckBefore: number;
  #lastOffered: StepMessage | undefined;
  /** What a canary keeps from who asks for it. */
  #lost: string | undefined;

  constructor(process: Process, observer: Observer, options: GroundParts) {
    this.#process = process;
    this.#observer = observer;
    this.#options = options;
    this.#struckBefore = process.machine.faults.struck.length;
    const { clock, logger } = options;
    this.#inner = createLocalBus({ clock, logger, ackWaitMs: ACK_WAIT_MS, maxDelivery: DELIVERIES_MAX });
    this.steps = this.#steps();
    this.results = this.#results();
    this.journal = this.#journal();
    this.inbox = this.#inbox();
    this.liveness = this.#inner.liveness;
    this.live = this.#inner.live;
    this.deadLetters = this.#inner.deadLetters;
  }

  /** All that was acknowledged, it knows: there is nobody else. */
  known(sessionId: string): number {
    return this.#observer.session(sessionId).n;
  }

  /** Of L2: what lies here and nobody will fetch. */
  async left(sessionIds: readonly string[]): Promise<readonly string[]> {
    const left: string[] = [];
    const depth = this.#inner.steps.depth();
    if (depth > 0 && !this.#wasFaulty) left.push(`${depth} steps in the queue`);
    for (const sessionId of sessionIds)
      for (const { stepId, attempt } of await this.#inner.results.list(sessionId))
        if (!this.#tooLate.has(`${sessionId}/${stepId}`))
          left.push(`the result of attempt ${attempt} of step ${stepId} of session ${sessionId}`);
    return left;
  }

  /** Then a step may have come into the queue again that nobody needs any more, and nobody serves. */
  get #wasFaulty(): boolean {
    const { struck } = this.#process.machine.faults;
    return struck.slice(this.#struckBefore).some(({ kind }) => BUS_FAULTS.has(kind));
  }

  /** Of L3. */
  get held(): readonly string[] {
    return [...this.#held].flatMap(([what, count]) => (count > 0 ? [`${count} × ${what}`] : []));
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  /** The run of a session has ended: for canaries that come when nothing may come any more. */
  offerAgain(): void {
    const { canary } = this.#process.machine;
    if (this.#lastOffered === undefined) return;
    if (canary === "offers-after-the-end") void this.steps.offer(this.#lastOffered);
    if (canary === "leaves-a-step")
      void this.#inner.steps.offer({ ...this.#lastOffered, agent: "nobody", stepId: "0.0.0" });
  }

  #steps(): StepQueue {
    const { steps } = this.#inner;
    return {
      offer: (asked) => {
        const step =
          this.#process.machine.canary === "tries-forever" ? { ...asked, attempt: asked.attempt + 98 } : asked;
        this.#lastOffered = asked;
        if (!this.#process.scope.alive) return never();
        const { sessionId, stepId, attempt } = step;
        const model = this.#observer.session(sessionId);
        model.offer(stepId, attempt, this.#options.attemptsMax(sessionId));
        if (this.#process.machine.canary === "invents-a-step")
          model.offer(`${stepId}9999`, 1, this.#options.attemptsMax(sessionId));
        return this.#inTurn(sessionId, stepId, () => this.#acknowledged(`offer ${stepId}`, () => steps.offer(asked)));
      },
      withdraw: (sessionId, stepId) =>
        this.#inTurn(sessionId, stepId, () =>
          this.#call(`withdraw ${stepId}`, () => steps.withdraw(sessionId, stepId)),
        ),
      serve: ({ run, ...options }) => {
        const server = steps.serve({ ...options, run: (claim) => this.#run(claim, run) });
        const letGo = this.#holding("server of steps", () => undefined);
        return {
          setSlots: (slots) => server.setSlots(slots),
          stop: () => {
            letGo();
            return server.stop();
          },
        };
      },
      depth: (agent) => steps.depth(agent),
    };
  }

  /** What is asked about one step reaches the queue in the order it was asked. */
  #inTurn<T>(sessionId: string, stepId: string, act: () => Promise<T>): Promise<T> {
    const key = `${sessionId}/${stepId}`;
    const before = this.#turns.get(key);
    const turn = before === undefined ? act() : before.then(act, act);
    this.#turns.set(key, turn);
    return turn;
  }

  #run(claim: Claim, run: (claim: Claim) => Promise<void>): Promise<void> {
    const { faults, scheduler } = this.#process.machine;
    const wrapped: Claim = {
      step: claim.step,
      delivery: claim.delivery,
      beat: () => {
        if (faults.strikes("lost-acknowledgement") === undefined) claim.beat();
      },
      done: () =>
        faults.strikes("lost-acknowledgement") === undefined
          ? this.#call("done", () => claim.done())
          : Promise.resolve(),
      retry: (delayMs) => this.#call("retry", () => claim.retry(delayMs)),
      giveUp: (reason) => this.#call("give up", () => claim.giveUp(reason)),
    };
    return new Promise((resolve, reject) => {
      scheduler.after(this.#process.scope, this.#delayMs(), `claim ${claim.step.stepId}`, () => {
        run(wrapped).then(resolve, reject);
      });
    });
  }

  #results(): ResultRegister {
    const { results } = this.#inner;
    return {
      put: (result) => {
        if (!this.#process.scope.alive) return never();
        return this.#acknowledged(`result ${result.stepId}`, () => {
          const model = this.#observer.session(result.sessionId);
          model.resultRegistered(result);
          if (!model.awaits(result.stepId)) this.#tooLate.add(`${result.sessionId}/${result.stepId}`);
          return results.put(result);
        });
      },
      get: (...args) => this.#call("get a result", () => results.get(...args)),
      list: (sessionId) =>
        this.#call("list results", async () =>
          (await results.list(sessionId)).filter(({ stepId }) => this.#lost !== `${sessionId}/${stepId}`),
        ),
      watch: (sessionId, onResult) => this.#watch(sessionId, onResult),
      forget: (...args) => this.#call("forget results", () => results.forget(...args)),
    };
  }

  #watch(sessionId: string, onResult: (result: StepResult) => void): () => void {
    const { scheduler, faults, canary } = this.#process.machine;
    let open = true;
    let lost = canary !== "loses-a-result";
    const tell = (result: StepResult): void => {
      scheduler.after(this.#process.scope, this.#delayMs(), `told ${result.stepId}`, () => {
        if (!open) return;
        if (!lost && result.stepId !== "1.0.1") {
          lost = true;
          this.#lost = `${sessionId}/${result.stepId}`;
          return;
        }
        onResult(canary === "changes-a-result" ? changed(result) : result);
      });
    };
    const stop = this.#inner.results.watch(sessionId, (result) => {
      tell(result);
      if (faults.strikes("repeated") !== undefined) tell(result);
    });
    return this.#holding("watcher of results", () => {
      open = false;
      stop();
    });
  }

  #journal(): Journal {
    const { journal } = this.#inner;
    return {
      put: (entry) => this.#acknowledged("journal", () => journal.put(entry)),
      list: (sessionId, stepId) => this.#call("list journal", () => journal.list(sessionId, stepId)),
      isOwned: (sessionId) => this.#call("owner", () => journal.isOwned(sessionId)),
      own: (...args) => this.#holding("owner of a journal", journal.own(...args)),
    };
  }

  #inbox(): Inbox {
    const { inbox } = this.#inner;
    return {
      post: (...args) => this.#acknowledged("post", () => inbox.post(...args)),
      read: (...args) => this.#call("read the inbox", () => inbox.read(...args)),
      watch: (...args) => this.#holding("watcher of an inbox", inbox.watch(...args)),
      forget: (...args) => this.#call("forget the inbox", () => inbox.forget(...args)),
    };
  }

  /** A call whose answer may get lost after it was done, and which may be done twice. */
  #acknowledged<T>(label: string, act: () => Promise<T>): Promise<T> {
    const { faults } = this.#process.machine;
    return this.#call(label, async () => {
      const answer = await act();
      if (faults.strikes("repeated") !== undefined) await act();
      if (faults.strikes("lost-acknowledgement") !== undefined)
        throw new Error(`the acknowledgement of ${label} was lost`);
      return answer;
    });
  }

  #call<T>(label: string, act: () => Promise<T>): Promise<T> {
    const { scheduler } = this.#process.machine;
    const latency: Latency = { beforeMs: this.#delayMs(), afterMs: 0 };
    return new Promise((resolve, reject) => {
      scheduler.after(this.#process.scope, latency.beforeMs, label, () => {
        act().then(resolve, reject);
      });
    });
  }

  #delayMs(): number {
    const late = this.#process.machine.faults.strikes("delayed");
    return late === undefined ? 0 : between(late, 1, 3_000);
  }

  #holding(what: string, letGo: () => void): () => void {
    this.#held.set(what, (this.#held.get(what) ?? 0) + 1);
    let held = true;
    return () => {
      if (held) this.#held.set(what, (this.#held.get(what) ?? 0) - 1);
      held = false;
      letGo();
    };
  }
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
