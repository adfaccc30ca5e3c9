// Worker
//
// Owns:      the attempts running on this host, and the places that agents with a `concurrency` have.
// Does not:  know sessions: what it needs comes with the step, its result goes into the register.
// Crossing:  StepQueue → #claimed(); worker → ResultRegister.put(), then Claim.done().
//
// W1  The result is in the register before the claim is done; a crash between the two repeats the step, and the first
//     result counts.
// W2  Every claim ends, whatever the agent does: done, or handed back when this host cannot run it.
// W3  A result that the register cannot take for now stays here, its claim alive, until it can: what an agent has done is
//     not done again because the bus was away or full. Only a host that stops hands the step back.

import type { Bus, Claim, StepMessage, StepServer } from "../bus/ports.ts";
import type { Clock } from "../base/clock.ts";
import { isOrchestraError, OrchestraError } from "../base/errors.ts";
import { errorToData } from "../base/error-data.ts";
import type { Logger } from "../base/logger.ts";
import type { NodeKind } from "../topology/types.ts";
import type { RunnableAgent } from "./agent.ts";
import { whileBeating } from "./beats.ts";
import type { Deadlines } from "./deadlines.ts";
import type { AttemptCounts, RunCode } from "./engine-api.ts";
import { Execution } from "./execution.ts";
import type { ExecutionPorts } from "./execution.ts";
import type { Adopted } from "./streams.ts";
import { HostSlots } from "./host-slots.ts";
import type { HostingOptions } from "./hosting.ts";
import { Places } from "./places.ts";
import { refusedForGood, registerLater } from "./registering.ts";
import type { StepRuntime } from "./step-context.ts";
import type { AbortReason, StepBody, StepEnd } from "./step-wire.ts";

/** Finds what runs a node that is no agent; undefined: look among the agents. */
export type StepHandlers = (kind: NodeKind, name: string) => RunnableAgent | undefined;

export interface WorkerPorts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly stepHandlers: StepHandlers | undefined;
  /** One server takes the steps of all agents, instead of one for each. */
  readonly servesAll: boolean;
  /** The functions of a session that is ours, or of a topology that was: what is known before an agent is asked for by its name. */
  codesFor(sessionId: string, topologyHash: string): readonly RunCode[];
  isOurs(sessionId: string): boolean;
  /** Follows what is told of a step whose session is another host's. Returns the way to stop. */
  attend(execution: Execution): () => void;
  /** Steps came or went, or other agents are served. */
  onChange(): void;
  readonly runtime: StepRuntime<Execution>;
  /** An attempt of this step that was begun ahead (streams.ts). */
  adopt(sessionId: string, body: StepBody): Adopted | undefined;
}

/** Steps of one agent handed to this host at a time; runs bound themselves by `maxConcurrency` far below it. */
const SLOTS_PER_AGENT = 4_096;
const SLOTS_OF_ALL = Infinity;
const FOREIGN_RETRY_MS = 250;
const REFUSED_RETRY_MS = 1_000;
/** Agents whose attempts are counted apart. */
const COUNTED_AGENTS_MAX = 1_000;
const OTHER_AGENTS = "other";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class Worker {
  readonly #ports: WorkerPorts;
  readonly #executionPorts: ExecutionPorts;
  readonly #running = new Map<string, Execution>();
  readonly #served = new Map<string, { server: StepServer; users: number; code: RunCode }>();
  readonly #places = new WeakMap<RunnableAgent, Places>();
  #all: StepServer | undefined;
  #hosted: { readonly code: RunCode; readonly agents: ReadonlySet<string>; readonly slots: HostSlots } | undefined;
  readonly #attempts = new Map<string, Writable<AttemptCounts>>();
  /** Steps that did not come from the queue, until their results are in the register. */
  readonly #here = new Set<string>();
  #lateResults = 0;
  /** Ends of attempts that ran here: they were made by this program, and need not be checked. */
  readonly #made = new WeakSet<object>();
  readonly #stopped = new AbortController();

  constructor(ports: WorkerPorts) {
    this.#ports = ports;
    this.#executionPorts = {
      clock: ports.clock,
      deadlines: ports.deadlines,
      runtime: ports.runtime,
      onHeld: ({ sessionId, body }, held) => {
        if (held) this.#hosted?.slots.suspend(sessionId, body.offer.stepId);
        else this.#hosted?.slots.wake(sessionId, body.offer.stepId);
      },
      onLate: ({ sessionId, body }) => {
        this.#lateResults++;
        ports.logger.debug(
          { sessionId, stepId: body.offer.stepId },
          "a result came after its attempt had ended; dropped",
        );
      },
    };
  }

  /** Whether one server takes the steps of all agents. */
  get servesAll(): boolean {
    return this.#ports.servesAll;
  }
  get executionPorts(): ExecutionPorts {
    return this.#executionPorts;
  }
  /** Results that came after their attempt had ended. */
  get lateResults(): number {
    return this.#lateResults;
  }
  /** By agent. */
  get attempts(): Readonly<Record<string, AttemptCounts>> {
    return Object.fromEntries([...this.#attempts].map(([agent, counts]) => [agent, { ...counts }]));
  }
  get running(): number {
    return this.#running.size;
  }

  /** Agents whose steps are taken here. */
  get agents(): readonly string[] {
    return [...new Set([...this.#served.keys(), ...(this.#hosted?.agents ?? [])])];
  }

  serves(agent: string): boolean {
    return this.#all !== undefined || this.#served.has(agent) || this.#hosted?.agents.has(agent) === true;
  }

  /** Whether a result is what an attempt in this process came to. */
  hasMade(end: unknown): boolean {
    return typeof end === "object" && end !== null && this.#made.has(end);
  }

  isRunning(sessionId: string, stepId: string): boolean {
    return this.#running.has(`${sessionId}/${stepId}`);
  }

  /** What runs a step of that kind and name, here. */
  agentFor(kind: NodeKind, name: string, code: RunCode): RunnableAgent | undefined {
    return this.#ports.stepHandlers?.(kind, name) ?? code.agents.get(name);
  }

  /** Takes steps of all agents of `code` from the queue, of whatever session, until it is stopped. */
  host({ code, slots, perAgent }: Pick<HostingOptions, "code" | "slots" | "perAgent">): void {
    const agents = code.agents.names();
    this.#hosted = {
      code,
      agents: new Set(agents),
      slots: new HostSlots({
        steps: this.#ports.bus.steps,
        deadlines: this.#ports.deadlines,
        agents,
        slots,
        perAgent,
        run: (claim) => this.#claimed(claim),
      }),
    };
    this.#ports.onChange();
  }

  /** Takes no steps of other sessions any more; resolves when those that run have ended. */
  async unhost(): Promise<void> {
    await this.#hosted?.slots.stop();
  }

  /** Takes steps of `agents` from the queue until as many `leave`s were called; `code` has them. */
  join(agents: Iterable<string>, code: RunCode): void {
    if (this.#ports.servesAll) {
      this.#all ??= this.#ports.bus.steps.serve({ slots: SLOTS_OF_ALL, run: (claim) => this.#claimed(claim) });
      return;
    }
    for (const agent of agents) {
      const served = this.#served.get(agent);
      if (this.#hosted?.agents.has(agent)) continue;
      if (served !== undefined) served.users++;
      else {
        const server = this.#ports.bus.steps.serve({
          agents: [agent],
          slots: SLOTS_PER_AGENT,
          run: (claim) => this.#claimed(claim),
        });
        this.#served.set(agent, { server, users: 1, code });
        this.#ports.onChange();
      }
    }
  }

  leave(agents: Iterable<string>): void {
    if (this.#ports.servesAll) return;
    for (const agent of agents) {
      const served = this.#served.get(agent);
      if (served === undefined || --served.users > 0) continue;
      this.#served.delete(agent);
      this.#detach(served.server);
      this.#ports.onChange();
    }
  }

  /** Ends the attempt of a step that runs here; false when none does. */
  abort(sessionId: string, stepId: string, reason: AbortReason): boolean {
    const execution = this.#running.get(`${sessionId}/${stepId}`);
    execution?.abort(reason);
    return execution !== undefined;
  }

  /** Runs a step of a session that is ours past the queue. Where it comes to nothing its owner offers it again. */
  runHere(step: StepMessage): void {
    const key = `${step.sessionId}/${step.stepId}`;
    const over = (): Promise<void> => Promise.resolve();
    this.#here.add(key);
    this.#claimed({ step, delivery: 1, beat: () => undefined, done: over, retry: over, giveUp: over })
      .catch((error: unknown) =>
        this.#ports.logger.error(
          { sessionId: step.sessionId, stepId: step.stepId, error: errorToData(error) },
          "a step came to nothing; it is offered again",
        ),
      )
      .finally(() => this.#here.delete(key))
      .catch(() => undefined);
  }

  /** Whether the step was begun by `runHere`, and its result is not in the register yet. */
  hasHere(sessionId: string, stepId: string): boolean {
    return this.#here.has(`${sessionId}/${stepId}`);
  }

  /** Since when the step runs on this host, on the monotonic clock. */
  startedAtMs(sessionId: string, stepId: string): number | undefined {
    return this.#running.get(`${sessionId}/${stepId}`)?.startedAtMs;
  }

  async stop(reason: AbortReason): Promise<void> {
    this.#stopped.abort();
    const servers = [...this.#served.values()].map((served) => served.server);
    if (this.#all !== undefined) servers.push(this.#all);
    this.#served.clear();
    const stopping = servers.map((server) => server.stop());
    stopping.push(this.unhost());
    for (const execution of [...this.#running.values()]) execution.abort(reason);
    await Promise.allSettled(stopping);
  }

  #detach(server: StepServer): void {
    server
      .stop()
      .catch((error: unknown) => this.#ports.logger.warn({ error: errorToData(error) }, "a step server did not stop"));
  }

  #claimed(claim: Claim): Promise<void> {
    const body = claim.step.body as StepBody;
    const code = this.#codeFor(claim, body);
    if (code === undefined) return claim.retry(FOREIGN_RETRY_MS);
    return claim.delivery > 1 || claim.step.recovered === true
      ? this.#claimedAgain(claim, body, code)
      : this.#work(claim, body, code);
  }

  /** A step of ours fails where its agent is missing; that of another host is handed on. */
  #codeFor({ step }: Claim, body: StepBody): RunCode | undefined {
    const { sessionId, agent } = step;
    const known = this.#ports.codesFor(sessionId, body.topologyHash);
    for (const code of known) if (this.agentFor(body.kind, agent, code) !== undefined) return code;
    for (const code of [this.#hosted?.code, this.#served.get(agent)?.code])
      if (code !== undefined && this.agentFor(body.kind, agent, code) !== undefined) return code;
    return this.#ports.isOurs(sessionId) ? known[0] : undefined;
  }

  async #claimedAgain(claim: Claim, body: StepBody, code: RunCode): Promise<void> {
    const { sessionId, stepId, attempt } = claim.step;
    if ((await this.#ports.bus.results.get(sessionId, stepId, attempt)) !== undefined) return claim.done();
    return this.#work(claim, body, code);
  }

  #work(claim: Claim, body: StepBody, code: RunCode): Promise<void> {
    const agent = this.agentFor(body.kind, claim.step.agent, code);
    if (agent === undefined) return this.#register(claim, unknownAgent(claim.step.agent, body));
    if (body.offer.streamedFrom !== undefined || agent.concurrency !== undefined) {
      return this.#execute(claim, body, agent, code);
    }
    // The common case without a promise of its own: an agent that answers at once has its result registered at once.
    const execution = new Execution(claim, agent, code, this.#executionPorts);
    const ended = this.#began(execution);
    return new Promise((resolve) =>
      execution.begin((end) => {
        ended();
        resolve(this.#register(claim, end, execution.aborted));
      }),
    );
  }

  /** Returns what is to be done when it has ended. */
  #began(execution: Execution): () => void {
    const { sessionId, body } = execution;
    const key = `${sessionId}/${body.offer.stepId}`;
    this.#running.get(key)?.abort("superseded");
    this.#running.set(key, execution);
    const leave = this.#ports.isOurs(sessionId) ? undefined : this.#ports.attend(execution);
    this.#ports.onChange();
    return () => {
      leave?.();
      if (this.#running.get(key) === execution) this.#running.delete(key);
      this.#ports.onChange();
    };
  }

  /** W1. */
  #register(claim: Claim, end: StepEnd | null, aborted: AbortReason | null = null): Promise<void> {
    this.#count(claim.step.agent, end);
    // The session goes on with another owner, who waits for the step: others have it at once.
    const isWanted = !this.servesAll && (aborted === "closing" || aborted === "fenced");
    if (end === null) return isWanted ? claim.retry(0) : claim.done();
    this.#made.add(end);
    const { sessionId, stepId, attempt } = claim.step;
    const result = { sessionId, stepId, attempt, body: end };
    const put = this.#ports.bus.results.put(result);
    // Over a bus it may take longer than a step may go without a sign of life.
    return (this.servesAll ? put : whileBeating(claim, this.#ports.deadlines, put)).then(
      () => claim.done(),
      (error: unknown) => {
        const instead = end.kind === "failed" ? undefined : refusedForGood(claim.step.body as StepBody, error, end);
        if (instead !== undefined) return this.#register(claim, instead, aborted);
        const passes = isOrchestraError(error, "ORCH_BUS_UNREACHABLE") || isOrchestraError(error, "ORCH_OVERLOADED");
        this.#ports.logger.error(
          { sessionId, stepId, error: errorToData(error) },
          passes
            ? "the result register cannot take a result now; it is kept, and put again"
            : "the result register refused a result; the step will be repeated",
        );
        return passes ? registerLater(this.#ports, claim, result, this.#stopped.signal) : claim.retry(REFUSED_RETRY_MS);
      },
    );
  }

  #count(agent: string, end: StepEnd | null): void {
    const label = this.#attempts.has(agent) || this.#attempts.size < COUNTED_AGENTS_MAX ? agent : OTHER_AGENTS;
    let counts = this.#attempts.get(label);
    if (counts === undefined) this.#attempts.set(label, (counts = { succeeded: 0, failed: 0, aborted: 0, tookMs: 0 }));
    if (end === null) counts.aborted++;
    else if (end.kind !== "suspended") {
      counts[end.kind]++;
      counts.tookMs += end.tookMs;
    }
  }

  async #execute(claim: Claim, body: StepBody, agent: RunnableAgent, code: RunCode): Promise<void> {
    const { sessionId, stepId } = claim.step;
    const { deadlines } = this.#ports;
    const key = `${sessionId}/${stepId}`;
    const ahead = this.#ports.adopt(sessionId, body);
    if (ahead !== undefined) {
      this.#running.set(key, ahead.execution);
      const end = await ahead.end.finally(() => {
        if (this.#running.get(key) === ahead.execution) this.#running.delete(key);
      });
      return this.#register(claim, end, ahead.execution.aborted);
    }
    const execution = new Execution(claim, agent, code, this.#executionPorts);
    const ended = this.#began(execution);
    const places = this.#placesOf(agent);
    try {
      if (places !== undefined && !(await whileBeating(claim, deadlines, places.take(execution.signal))))
        return claim.done();
      let end: StepEnd | null;
      try {
        end = await execution.run();
      } finally {
        places?.give();
      }
      ended();
      return await this.#register(claim, end, execution.aborted);
    } finally {
      ended();
    }
  }

  #placesOf(agent: RunnableAgent): Places | undefined {
    if (agent.concurrency === undefined) return undefined;
    let places = this.#places.get(agent);
    if (places === undefined) {
      places = new Places(agent.concurrency);
      this.#places.set(agent, places);
    }
    return places;
  }
}

function unknownAgent(name: string, body: StepBody): StepEnd {
  const { node, branchId } = body.offer;
  const error = new OrchestraError(
    "ORCH_AGENT_UNKNOWN",
    `no agent named "${name}" for node "${node}"; hand it over with the option agents`,
  );
  return {
    kind: "failed",
    class: "permanent",
    error: { ...errorToData(error), node, branchId },
    tookMs: 0,
    forGood: true,
  };
}
