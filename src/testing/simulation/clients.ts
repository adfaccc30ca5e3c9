// Clients: those outside who start sessions, answer questions, pause, resume and cancel, and come again after a crash.

import { isOrchestraError } from "../../base/errors.ts";
import type { RunOutcome } from "../../runtime/engine-api.ts";
import type { RunStatus } from "../../actors/effects.ts";
import type { Random } from "../../base/random.ts";
import type { Asks } from "./asks.ts";
import { between, chance, streamFor } from "./chance.ts";
import type { Observer } from "./observer.ts";
import type { Scenario, SimulatedCommand, SimulatedSession } from "./scenario.ts";
import type { Scope } from "./scheduler.ts";
import { HostGone, type SimHost } from "./sim-host.ts";
import type { Machine } from "./sim-machine.ts";

/** What somebody was told that a run ended in. */
export interface Told {
  readonly runId: string;
  readonly status: RunStatus;
  readonly finalResponse: unknown;
}

export interface ClientParts {
  readonly machine: Machine;
  readonly scope: Scope;
  readonly seed: number;
  readonly scenario: Scenario;
  readonly observer: Observer;
  readonly asks: Asks;
  /** A process that is up, as soon as one is. */
  host(random?: Random): Promise<SimHost>;
  onOutcome(sessionId: string, outcome: RunOutcome): void;
}

const PATIENCE_MS = 400;

export class Clients {
  readonly told = new Map<string, Told>();
  readonly #parts: ClientParts;
  readonly #checkpoints = new Map<string, string[]>();
  #insisted = 0;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  /** Resolves when every session has ended and every command was given. */
  async run(): Promise<void> {
    const { sessions, commands } = this.#parts.scenario;
    await Promise.all([
      ...sessions.map((session) => this.#runSession(session)),
      ...commands.map((command) => this.#giveCommand(command)),
    ]);
    // A command may have set a session going again.
    await Promise.all(sessions.map((session) => this.#follow(session)));
  }

  async #runSession(session: SimulatedSession): Promise<void> {
    await this.#sleep(session.startAtMs);
    await this.#insist((host) => this.#start(host, session));
    await this.#follow(session);
  }

  async #start(host: SimHost, session: SimulatedSession): Promise<true> {
    const { asks } = this.#parts;
    const { sessionId } = session;
    const { engine } = host.kernel;
    const handle = await asks.ask(host, `start of ${sessionId}`, () => engine.start(host.requestFor(session)));
    const outcome = await asks.ask(host, `outcome of ${sessionId}`, () => handle.outcome);
    this.#note(sessionId, outcome);
    return true;
  }

  /** Until the session has ended. */
  async #follow({ sessionId }: SimulatedSession): Promise<void> {
    const random = streamFor(this.#parts.seed, "follow", sessionId);
    for (;;) {
      const ended = await this.#insist(async (host) => this.#goOn(host, sessionId, random));
      if (ended) return;
      await this.#sleep(between(random, 0, PATIENCE_MS));
    }
  }

  async #goOn(host: SimHost, sessionId: string, random: { next(): number }): Promise<boolean> {
    const { asks } = this.#parts;
    const { engine } = host.kernel;
    const entry = await asks.ask(host, `entry of ${sessionId}`, () => engine.getSession(sessionId));
    if (entry === null) return true;
    const code = host.codeOf(entry.topologyHash);
    if (entry.status === "completed" || entry.status === "failed" || entry.status === "cancelled") {
      const outcome = await asks.ask(host, `outcome of ${sessionId}`, () => engine.outcome(sessionId));
      this.#note(sessionId, outcome);
      return true;
    }
    if (entry.status === "awaiting_user") {
      const answered = await this.#answer(host, sessionId, random);
      if (answered) return false;
    }
    const handle = await asks.ask(host, `resumption of ${sessionId}`, () =>
      engine.resume(sessionId, code === undefined ? {} : { code }),
    );
    this.#note(sessionId, await asks.ask(host, `outcome of ${sessionId}`, () => handle.outcome));
    return false;
  }

  async #answer(host: SimHost, sessionId: string, random: { next(): number }): Promise<boolean> {
    const { asks, scenario } = this.#parts;
    const { engine } = host.kernel;
    const questions = await asks.ask(host, `questions of ${sessionId}`, () => engine.questions(sessionId));
    const [first] = questions;
    if (first === undefined) return false;
    const saying = ({ node, promptValue }: (typeof questions)[number]): unknown =>
      scenario.answer({ sessionId, node, prompt: promptValue });
    if (chance(random, 0.5)) {
      const { questionId } = first;
      await asks.ask(host, `answer to ${questionId} of ${sessionId}`, () =>
        engine.answer(sessionId, questionId, saying(first)),
      );
    } else {
      const answers = Object.fromEntries(questions.map((question) => [question.questionId, saying(question)]));
      const handle = await asks.ask(host, `answers of ${sessionId}`, () =>
        engine.resume(sessionId, { ...codeFor(host, first.session, this.#parts.observer), answers }),
      );
      this.#note(sessionId, await asks.ask(host, `outcome of ${sessionId}`, () => handle.outcome));
    }
    return true;
  }

  async #giveCommand({ sessionId, atMs, what }: SimulatedCommand): Promise<void> {
    await this.#sleep(atMs);
    const host = await this.#parts.host(streamFor(this.#parts.seed, "command", sessionId, atMs));
    try {
      await this.#command(host, sessionId, what);
    } catch (error) {
      if (!(error instanceof HostGone) && !isOrchestraError(error)) throw error;
    }
  }

  async #command(host: SimHost, sessionId: string, what: SimulatedCommand["what"]): Promise<void> {
    const { asks, machine } = this.#parts;
    const { engine } = host.kernel;
    const ask = <T>(act: () => Promise<T>): Promise<T> => asks.ask(host, `${what} of ${sessionId}`, act);
    switch (what) {
      case "pause":
      case "abort":
        // Once the storm is over nothing holds a session up any more.
        if (!machine.faults.calmed)
          await ask(() => engine.pause(sessionId, "a moment", what === "abort" ? "abort" : "finish"));
        return;
      case "cancel":
        await ask(() => engine.cancel(sessionId, "not needed any more"));
        return;
      case "checkpoint": {
        const id = await ask(() => engine.createCheckpoint(sessionId, "here"));
        this.#checkpoints.set(sessionId, [...(this.#checkpoints.get(sessionId) ?? []), id]);
        return;
      }
      case "restore": {
        const id = this.#checkpoints.get(sessionId)?.at(-1);
        if (id !== undefined && !machine.faults.calmed) await ask(() => engine.restoreCheckpoint(id));
        return;
      }
      case "resume":
      case "context": {
        const more = what === "context" ? { context: { said: "so" } } : {};
        const handle = await ask(() =>
          engine.resume(sessionId, { ...codeFor(host, sessionId, this.#parts.observer), ...more }),
        );
        this.#note(sessionId, await asks.ask(host, `outcome of ${sessionId}`, () => handle.outcome));
        return;
      }
      case "look":
        await ask(() => engine.why(sessionId));
        await ask(async () => {
          for await (const step of engine.trace(sessionId)) void step;
        });
    }
  }

  /** Asks again, on whatever host is up, until there is an answer. */
  async #insist<T>(act: (host: SimHost) => Promise<T>): Promise<T> {
    const random = streamFor(this.#parts.seed, "insist", this.#insisted++);
    for (let wait = 50; ; wait = Math.min(wait * 2, 10_000)) {
      const host = await this.#parts.host(random);
      try {
        return await act(host);
      } catch (error) {
        if (error instanceof HostGone) continue;
        if (!isOrchestraError(error)) throw error;
        await this.#sleep(wait);
      }
    }
  }

  #note(sessionId: string, outcome: RunOutcome): void {
    const { status, finalResponse, state } = outcome;
    this.#parts.onOutcome(sessionId, outcome);
    if (status === "completed" || status === "failed" || status === "cancelled")
      this.told.set(sessionId, { runId: state.run?.runId ?? "", status, finalResponse });
  }

  #sleep(ms: number): Promise<void> {
    return this.#parts.machine.scheduler.sleep(this.#parts.scope, ms, "a client's patience");
  }
}

function codeFor(
  host: SimHost,
  sessionId: string,
  observer: Observer,
): { code?: NonNullable<ReturnType<SimHost["codeOf"]>> } {
  const code = host.codeOf(observer.session(sessionId).state.run?.topologyHash ?? null);
  return code === undefined ? {} : { code };
}
