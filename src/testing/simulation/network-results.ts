// Network results: the write-once register on the server, and what owners are told of it.
//
// R1  The server decides which result is first; only then is anybody told.
// R2  What is told is a hint and may be lost. Who watches looks again now and then, and when it was away; it is told of one
//     result once.
// R3  The result of a step that was kept in the process does not leave it, as long as its session is watched there.

import type { ResultRegister, StepAttempt, StepResult } from "../../bus/ports.ts";
import { crossed } from "./crossing.ts";
import type { KeptSteps } from "./kept-steps.ts";
import type { Connection } from "./sim-network.ts";
import type { SimServer } from "./sim-server.ts";

const LOOK_MS = 5_000;

export interface ResultWatch {
  /** A result that stayed in this process. */
  keptResult(result: StepResult): void;
  registered(result: StepResult): void;
  holding(what: string, letGo: () => void): () => void;
}

interface Watched {
  readonly watchers: Set<(result: StepResult) => void>;
  /** By step and attempt. */
  readonly told: Map<string, StepResult>;
  stop(): void;
}

export class NetworkResults implements ResultRegister {
  readonly #server: SimServer;
  readonly #connection: Connection;
  readonly #kept: KeptSteps;
  readonly #watch: ResultWatch;
  readonly #watched = new Map<string, Watched>();

  constructor(server: SimServer, connection: Connection, kept: KeptSteps, watch: ResultWatch) {
    this.#server = server;
    this.#connection = connection;
    this.#kept = kept;
    this.#watch = watch;
  }

  async put(result: StepResult): Promise<"first" | "already"> {
    const { process } = this.#connection;
    if (!process.scope.alive) return new Promise(() => undefined);
    const watched = this.#watched.get(result.sessionId);
    if (watched !== undefined && this.#kept.has(result)) {
      this.#watch.keptResult(result);
      process.machine.scheduler.after(process.scope, 0, `kept result ${result.stepId}`, () =>
        this.#tell(watched, result),
      );
      return "first";
    }
    const message = crossed(result);
    return this.#connection.insist(`result ${result.stepId}`, () => this.#put(message));
  }

  async get(sessionId: string, stepId: string, attempt: number): Promise<StepResult | undefined> {
    if (this.#looksAway) return undefined;
    return this.#connection.insist(`result of ${stepId}`, () =>
      this.#server.bus.results.get(sessionId, stepId, attempt),
    );
  }

  async list(sessionId: string): Promise<readonly StepResult[]> {
    if (this.#looksAway) return [];
    return this.#connection.insist(`results of ${sessionId}`, () => this.#server.bus.results.list(sessionId));
  }

  watch(sessionId: string, onResult: (result: StepResult) => void): () => void {
    const watched = this.#watched.get(sessionId) ?? this.#follow(sessionId);
    watched.watchers.add(onResult);
    return this.#watch.holding("watcher of results", () => {
      watched.watchers.delete(onResult);
      if (watched.watchers.size > 0 || this.#watched.get(sessionId) !== watched) return;
      this.#watched.delete(sessionId);
      watched.stop();
      this.#kept.drop(sessionId);
    });
  }

  forget(sessionId: string, one?: StepAttempt): Promise<void> {
    return this.#connection.insist(`forget results of ${sessionId}`, () =>
      this.#server.bus.results.forget(sessionId, one),
    );
  }

  /** A planted defect: hints are all it goes by. */
  get #looksAway(): boolean {
    return this.#connection.process.machine.canary === "trusts-hints";
  }

  async #put(result: StepResult): Promise<"first" | "already"> {
    const { results } = this.#server.bus;
    const { canary } = this.#connection.process.machine;
    const { sessionId, stepId, attempt } = result;
    const answer = await results.put(result);
    if (answer === "first") {
      this.#watch.registered(result);
      if (!this.#server.observer.session(sessionId).awaits(stepId)) this.#server.tooLate.add(result);
    } else if (canary === "trusts-hints") return answer;
    if (canary === "last-result-wins") {
      await results.forget(sessionId, { stepId, attempt });
      await results.put(result);
      return answer;
    }
    const first = await results.get(sessionId, stepId, attempt);
    if (first !== undefined) this.#server.told.results.hint(sessionId, `hint of ${stepId}`, first);
    return answer;
  }

  #follow(sessionId: string): Watched {
    const { process } = this.#connection;
    const { scheduler } = process.machine;
    let cancel = (): void => undefined;
    const look = (): void => {
      this.list(sessionId).then(
        (results) => results.forEach((result) => this.#tell(watched, result)),
        () => undefined,
      );
    };
    const again = (): void => {
      cancel = scheduler.after(process.scope, LOOK_MS, "looks for results", () => {
        look();
        again();
      });
    };
    const stopHints = this.#server.told.results.add(sessionId, this.#connection, (result) =>
      this.#tell(watched, result),
    );
    const stopBack = this.#connection.onBack(look);
    const watched: Watched = {
      watchers: new Set(),
      told: new Map(),
      stop: () => {
        cancel();
        stopHints();
        stopBack();
      },
    };
    again();
    this.#watched.set(sessionId, watched);
    return watched;
  }

  /** R2. */
  #tell(watched: Watched, result: StepResult): void {
    const key = `${result.stepId}/${result.attempt}`;
    if (watched.told.get(key) === result) return;
    watched.told.set(key, result);
    const told = this.#connection.process.machine.canary === "changes-a-result" ? changed(result) : result;
    for (const onResult of watched.watchers) onResult(told);
  }
}

export function changed(result: StepResult): StepResult {
  const body = result.body as { kind?: string; outcome?: unknown };
  if (body.kind !== "succeeded") return result;
  return { ...result, body: { ...body, outcome: { kind: "value", value: { v: "something else" } } } };
}
