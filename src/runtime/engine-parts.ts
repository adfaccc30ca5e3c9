// Engine parts: what an engine is made of, and how the parts reach each other.

import type { Question } from "../actors/effects.ts";
import type { SessionState } from "../actors/session-state.ts";
import type { Inspect } from "../actors/live-actor.ts";
import { errorToData } from "../base/error-data.ts";
import type { Clock } from "../base/clock.ts";
import type { Ids } from "../base/ids.ts";
import type { StepsUpTo } from "../base/nested-ids.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Bus, Inbox, InboxCommand } from "../bus/ports.ts";
import type { Commit, SessionEntry, SessionStore } from "../state/ports.ts";
import type { RetentionPolicy } from "../state/retention.ts";
import { isEnded } from "../state/run-status.ts";
import type { MemoryOfSteps } from "./agent-memory.ts";
import { factsOfAskedCheckpoint } from "./asked-checkpoints.ts";
import { Deadlines } from "./deadlines.ts";
import type { EnginePorts } from "./engine-ports.ts";
import type { Engine, RunCode } from "./engine-api.ts";
import { BudgetDesk } from "./budget-desk.ts";
import { Cluster } from "./cluster.ts";
import { EventHub } from "./event-hub.ts";
import type { LiveOnlyEvent } from "./event-hub.ts";
import { ForeignSteps } from "./foreign-steps.ts";
import { DEFAULT_UNSERVED } from "./hosting.ts";
import type { HostingOptions, UnservedPolicy } from "./hosting.ts";
import { factsOfCommand } from "./inbox-commands.ts";
import { liveElsewhere } from "./live-owners.ts";
import { tell } from "./live-signals.ts";
import { LiveSessions } from "./live-sessions.ts";
import { runNested } from "./nested.ts";
import type { NestedHooks, NestedPorts } from "./nested.ts";
import { NestedEnds } from "./nested-ends.ts";
import type { Session } from "./session.ts";
import type { Observe } from "./owned-events.ts";
import type { Execution } from "./execution.ts";
import { Values } from "./values.ts";
import type { NewBlobs } from "./values.ts";
import { Worker } from "./worker.ts";
import type { StepHandlers } from "./worker.ts";

export interface EngineOptions {
  readonly store: SessionStore;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  /** Told by XState of sessions and steps as actors. Must not throw. */
  readonly inspect?: Inspect | undefined;
  readonly ids: Ids;
  readonly logger: Logger;
  /** Who we are in commits and on the bus. Default: a new id. */
  readonly host?: string;
  /** Steps of one run in flight at a time, where its code does not say. Default 16. */
  readonly maxConcurrency?: number;
  /** Sessions live at a time; more are refused with ORCH_OVERLOADED. Default 10,000. */
  readonly maxSessions?: number;
  /** Largest value of a user, in estimated bytes. Default 16 MiB. */
  readonly payloadBytesMax?: number;
  /** What runs nodes of kind tool and system, before the agents are asked. */
  readonly stepHandlers?: StepHandlers;
  /** How `ctx.run` reads its options and shows its result. Without it `ctx.run` throws ORCH_BAD_OPTION. */
  readonly nested?: NestedHooks;
  /** No other engine uses the bus, so steps of every agent are for this one. Default false. */
  readonly busIsOwn?: boolean;
  /** What is dropped while sessions run and when they end. Default: nothing. */
  readonly retention?: RetentionPolicy;
  /** Told of every session it takes over as a host. */
  readonly observers?: readonly Observe[];
  /** Serves as a host of a cluster once `Engine.host` is called. */
  readonly hosting?: HostingOptions;
  /** Of steps whose agent nobody serves. Default: they wait, and it is told after 30 s. */
  readonly unserved?: UnservedPolicy;
  /** What agents see as `ctx.memory`. */
  readonly memory?: MemoryOfSteps;
}

export interface EngineHooks {
  onQuestion(session: Session, question: Question): void;
  onWithdrawn(session: Session, questionId: string): void;
  onAdvanced(session: Session, commit: Commit): void;
  onSettled(session: Session): void;
  standsStill(sessionId: string): boolean;
  /** Goes on with a session that has no owner. */
  adopt(sessionId: string): Promise<void>;
  /** Ends nested runs that nobody is behind any more. */
  recoverNested(): Promise<void>;
}

export interface EngineParts {
  readonly ports: EnginePorts;
  readonly live: LiveSessions;
  /** The code of runs seen by this engine, by topology hash; the latest counts. */
  readonly codes: ReadonlyMap<string, RunCode>;
  readonly maxConcurrency: number;
  readonly maxSessions: number;
  /** Absent where the bus is this engine's own. */
  readonly cluster: Cluster | undefined;
  /** The host on which the session is live when that is not this engine's; null when nobody else has it. */
  ownerElsewhere(sessionId: string, entry: SessionEntry): Promise<string | null>;
  /** Where the owner of a session reads what is asked of it. */
  inboxOf(sessionId: string): Inbox;
  sessionsWithQuestions(): Promise<readonly string[]>;
  readonly nestedEnds: NestedEnds;
  readInbox(session: Session): Promise<void>;
  afterEachCommit(session: Session, listener: () => void): void;
  drain(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_MAX_CONCURRENCY = 16;
const DEFAULT_MAX_SESSIONS = 10_000;
/** Topologies whose code is remembered for sessions that come back. */
const CODES_MAX = 1_000;
const DRAIN_POLL_MS = 20;

type Shown =
  | Pick<Extract<LiveOnlyEvent, { type: "step.chunk" }>, "type" | "chunk">
  | Pick<Extract<LiveOnlyEvent, { type: "step.called" }>, "type" | "attempt" | "call">;

export function openEngineParts(options: EngineOptions, engine: Engine, hooks: EngineHooks): EngineParts {
  const { store, bus, clock, random, ids, logger, inspect } = options;
  const deadlines = new Deadlines(clock, (error) =>
    logger.error({ error: errorToData(error) }, "a deadline's callback threw"),
  );
  const values = new Values(
    store,
    options.payloadBytesMax === undefined ? {} : { payloadBytesMax: options.payloadBytesMax },
  );
  const shared = options.busIsOwn !== true;
  const hub = new EventHub(shared ? (sessionId) => cluster?.relay(sessionId) ?? (() => undefined) : undefined);
  const codes = new Map<string, RunCode>();
  const commitListeners = new Map<Session, (() => void)[]>();
  const host = options.host ?? ids.next("host");
  const maxSessions = options.maxSessions ?? DEFAULT_MAX_SESSIONS;
  const foreign = new ForeignSteps({ bus, store, deadlines, logger });

  const budgets = new BudgetDesk((sessionId) => live.get(sessionId)?.session.state);
  const worker: Worker = new Worker({
    bus,
    clock,
    deadlines,
    logger,
    stepHandlers: options.stepHandlers,
    servesAll: options.busIsOwn ?? false,
    codesFor(sessionId, topologyHash) {
      const own = live.get(sessionId)?.session.code;
      const known = codes.get(topologyHash);
      if (own !== undefined) return [own];
      return known === undefined ? [] : [known];
    },
    isOurs: (sessionId) => !shared || live.get(sessionId) !== undefined,
    attend: (execution) => foreign.attend(execution),
    onChange: () => cluster?.loadChanged(),
    adopt: (sessionId, { offer }) =>
      offer.streamedFrom === undefined ? undefined : live.get(sessionId)?.session.streams.adopt(offer),
    runtime: {
      values,
      logger,
      memory({ sessionId, runId, body, signal }) {
        const { stepId, node } = body.offer;
        return options.memory?.forStep({ sessionId, runId, stepId, node, signal });
      },
      chunks(execution) {
        if (execution.body.offer.streamedFrom === undefined) return undefined;
        return (
          live.get(execution.sessionId)?.session.streams.feedOf(execution) ??
          oneChunk(values.resolveInput(execution.body.offer.input))
        );
      },
      async journal({ sessionId, body }, key, value) {
        const { stepId } = body.offer;
        const put = await bus.journal.put({ sessionId, stepId, key, value: { v: value } });
        if (put === "first") return value;
        const entry = (await bus.journal.list(sessionId, stepId)).find((one) => one.key === key);
        return entry === undefined ? value : values.resolve(entry.value);
      },
      emit(execution, chunk) {
        live.get(execution.sessionId)?.session.streams.chunk(execution, chunk);
        show(execution, { type: "step.chunk", chunk });
      },
      report: (execution, call) =>
        show(execution, { type: "step.called", attempt: execution.body.offer.attempt, call }),
      reserve: (execution, decide) => budgets.reserve(execution, decide),
      run: (execution, nestedOptions) => runNested(nestedPorts, execution, nestedOptions),
    },
  });
  function show({ sessionId, runId, body: { offer } }: Execution, what: Shown): void {
    const { stepId, branchId, node } = offer;
    const session = live.get(sessionId)?.session;
    const at = session === undefined ? {} : { n: session.committer.n };
    const event: LiveOnlyEvent = { stepId, branchId, node, atMs: clock.nowMs(), runId, ...at, ...what };
    hub.show(sessionId, event);
    if (shared) tell(bus.live, sessionId, { type: "shown", host, event });
  }
  const ports: EnginePorts = {
    store,
    bus,
    clock,
    random,
    ids,
    logger,
    host,
    deadlines,
    values,
    worker,
    hub,
    shared,
    inspect,
  };
  const live: LiveSessions = new LiveSessions(ports, {
    onQuestion: (session, question) => hooks.onQuestion(session, question),
    onWithdrawn: (session, questionId) => hooks.onWithdrawn(session, questionId),
    onAdvanced: (session, commit) => {
      remember(session);
      cluster?.committed(session.sessionId);
      hooks.onAdvanced(session, commit);
      const listeners = commitListeners.get(session);
      if (listeners !== undefined) for (const listener of listeners) listener();
    },
    beforeTold(session) {
      if (session.state.run?.end == null || (session.nestedCount === 0 && session.recorderComplete)) return undefined;
      return nestedEnds.around(
        session.sessionId,
        stepsOf(session.state),
        [...session.nested.values()].flatMap((begun) => [...begun]),
      );
    },
    onSettled: (session) => hooks.onSettled(session),
    onPosted: (session) => void readInbox(session),
    onDisowned: (sessionId) => cluster?.abandoned(sessionId),
    onGone: (sessionId) => budgets.settle(sessionId),
    onChange: () => cluster?.sessionsChanged(),
    announced: () => cluster?.announced(),
  });
  const cluster: Cluster | undefined = shared
    ? new Cluster({
        ...ports,
        live,
        maxSessions,
        unserved: options.unserved ?? DEFAULT_UNSERVED,
        hosting: options.hosting,
        adopt: (sessionId) => hooks.adopt(sessionId),
        recoverNested: () => hooks.recoverNested(),
      })
    : undefined;

  const nestedEnds = new NestedEnds({
    store,
    deadlines,
    logger,
    cancel: (sessionId, reason) => engine.cancel(sessionId, reason),
  });

  const nestedPorts: NestedPorts = {
    engine,
    hooks: options.nested,
    values,
    nowMs: () => clock.nowMs(),
    deadlines,
    parentState: (sessionId) => live.get(sessionId)?.session.state,
    answers: async (execution) => values.resolveAll(execution.body.offer.answers ?? {}),
    track(execution, nestedSessionId) {
      const nested = live.get(execution.sessionId)?.session.nested;
      const { stepId } = execution.body.offer;
      const ofStep = nested?.get(stepId) ?? new Set<string>();
      nested?.set(stepId, ofStep.add(nestedSessionId));
      return () => {
        ofStep.delete(nestedSessionId);
        if (ofStep.size === 0) nested?.delete(stepId);
      };
    },
    release(execution) {
      execution.abort("paused");
      live.get(execution.sessionId)?.session.registry.release(execution.body.offer.stepId);
    },
    standsStill: (sessionId) => hooks.standsStill(sessionId),
    async isAbandoned(sessionId) {
      if (!shared || live.get(sessionId) !== undefined) return false;
      const entry = await store.getSession(sessionId);
      return entry?.status === "running" && (await parts.ownerElsewhere(sessionId, entry)) === null;
    },
  };

  function remember(session: Session): void {
    const hash = session.state.run?.topologyHash;
    if (hash === undefined || codes.get(hash) === session.code) return;
    codes.delete(hash);
    codes.set(hash, session.code);
    for (const oldest of codes.keys()) {
      if (codes.size <= CODES_MAX) break;
      codes.delete(oldest);
    }
  }

  async function takeIn(session: Session, position: number, command: InboxCommand): Promise<void> {
    const blobs: NewBlobs = new Map();
    try {
      const nowMs = clock.nowMs();
      const facts =
        command.type === "checkpoint" || command.type === "restore"
          ? await factsOfAskedCheckpoint({ store, nowMs }, session.sessionId, session.committer, command)
          : await factsOfCommand(session.state, command, { values, code: session.code, nowMs }, blobs);
      const { generation } = session.state;
      await session.committer.commit(facts, { blobs, inbox: position });
      if (session.state.generation > generation)
        await nestedEnds.around(session.sessionId, { generation, run: Number.POSITIVE_INFINITY });
    } catch (error) {
      logger.warn(
        { sessionId: session.sessionId, command: command.type, error: errorToData(error) },
        "an inbox command could not be followed",
      );
      // Read past all the same: a command that cannot be followed must not stand in the way of the next.
      if (session.open) await session.committer.commit([], { inbox: position }).catch(() => undefined);
    }
  }

  const passed = (ms: number): Promise<void> => new Promise((resolve) => deadlines.after(ms, resolve));

  const reading = new WeakMap<Session, Promise<void>>();
  function readInbox(session: Session): Promise<void> {
    const next = (reading.get(session) ?? Promise.resolve()).then(async () => {
      if (!session.open) return;
      for (const { position, command } of await bus.inbox.read(session.sessionId, session.committer.inbox)) {
        if (!session.open) return;
        await takeIn(session, position, command);
      }
    });
    const safe = next.catch((error: unknown) =>
      logger.warn({ sessionId: session.sessionId, error: errorToData(error) }, "the inbox could not be read"),
    );
    reading.set(session, safe);
    return safe;
  }

  const parts: EngineParts = {
    ports,
    live,
    codes,
    maxConcurrency: options.maxConcurrency ?? DEFAULT_MAX_CONCURRENCY,
    maxSessions,
    cluster,
    readInbox,
    nestedEnds,
    inboxOf: (sessionId) => (liveElsewhere(store, sessionId, live) ?? live).inbox,
    async ownerElsewhere(sessionId, entry) {
      if (liveElsewhere(store, sessionId, live) !== undefined) return entry.host;
      if (entry.host === host || isEnded(entry.status)) return null;
      if (!(await bus.liveness.alive()).some((one) => one.host === entry.host)) return null;
      // One that is paused or waits may have been let go of, or have steps in flight that finish.
      return entry.status === "running" || (await bus.journal.isOwned(sessionId)) ? entry.host : null;
    },
    async sessionsWithQuestions() {
      const found = new Set(live.all().map(({ session }) => session.sessionId));
      for (const status of ["awaiting_user", "paused"] as const) {
        for (let cursor: string | undefined; ;) {
          const page = await store.listSessions({ status, limit: 200, ...(cursor === undefined ? {} : { cursor }) });
          for (const entry of page) if (entry.parentSessionId === undefined) found.add(entry.sessionId);
          if (page.length < 200) break;
          cursor = page.at(-1)?.sessionId;
        }
      }
      return [...found];
    },
    afterEachCommit(session, listener) {
      commitListeners.set(session, [...(commitListeners.get(session) ?? []), listener]);
      session.onLetGo(() => commitListeners.delete(session));
    },
    async drain(timeoutMs) {
      for (const { session } of live.all()) session.registry.pause();
      const untilMs = clock.monotonicMs() + timeoutMs;
      const retired = cluster?.retire().then(() => true);
      const inFlight = (): boolean => live.all().some(({ session }) => session.registry.out > session.nestedCount);
      while (inFlight() && clock.monotonicMs() < untilMs) await passed(DRAIN_POLL_MS);
      if (retired !== undefined) await Promise.race([retired, passed(untilMs - clock.monotonicMs())]);
      for (const { session } of live.all()) await session.committer.settled();
      for (const sessionId of await live.releaseAll()) cluster?.abandoned(sessionId);
    },
    async close() {
      live.close();
      hub.close();
      await worker.stop("closing");
      await cluster?.close();
      deadlines.close();
    },
  };
  return parts;
}

/** All steps of a session until now. */
export function stepsOf({ generation, run }: SessionState): StepsUpTo {
  return { generation, run: run?.seq ?? 0 };
}

async function* oneChunk(value: unknown): AsyncGenerator<unknown> {
  yield await value;
}
