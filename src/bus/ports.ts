// Bus ports
//
// How the owner of a session and the workers that run its steps reach each other. One process and many hosts
// use the same ports; the contract suites in `orchestra/testing` run on every adapter.
//
// B1  A step is offered under its id: a second offer while the first is outstanding is refused as `already`.
// B2  Every claim ends: done, retry, give up, or the adapter hands it to another worker after `ackWaitMs` without a beat.
// B3  The first result of a step wins; later ones are `already` and change nothing.
// B4  A journal entry is acknowledged only after the owner has committed it.
// B5  Inbox commands are durable until read past; each is delivered in order, under an id that makes repeats harmless.

import type { Stored } from "../base/stored.ts";

/** What a worker needs to run one step; crosses the bus, so plain data. */
export interface StepMessage {
  readonly sessionId: string;
  readonly runId: string;
  readonly stepId: string;
  /** Registered name of the agent, tool or system function. Steps are queued per agent. */
  readonly agent: string;
  readonly attempt: number;
  /** Everything else the runtime sends along; the bus does not look inside. Plain data, or what gives them by a method `toWire`. */
  readonly body: unknown;
  /** Not to be handed out before this time. */
  readonly notBeforeMs?: number;
  /** Its session was taken over with this attempt outstanding. No short cut within the process: a step that ends its host must be counted by the queue. */
  readonly recovered?: true;
}

export interface Claim {
  readonly step: StepMessage;
  /** 1 for the first delivery of this attempt, 2 for the first repeat, … */
  readonly delivery: number;
  /** Says the worker is alive; called at least every third of `ackWaitMs`. */
  beat(): void;
  /** The result is in the register; the step leaves the queue. */
  done(): Promise<void>;
  /** Hands the step back, to be delivered again after `delayMs`. */
  retry(delayMs: number): Promise<void>;
  /** Removes the step without a result; the reason goes to the dead letters. */
  giveUp(reason: string): Promise<void>;
}

export interface StepServer {
  /** Changes how many claims may be open at once. */
  setSlots(slots: number): void;
  /** Takes no more steps; resolves when the open claims have ended. */
  stop(): Promise<void>;
}

export interface StepQueue {
  /** Offers a step. `full`: the queue of that agent is at its bound; offer again later. */
  offer(step: StepMessage): Promise<"queued" | "already" | "full">;
  /** Withdraws a step that is not yet claimed; true when there was one. */
  withdraw(sessionId: string, stepId: string): Promise<boolean>;
  /** Hands steps of the named agents (`undefined`: of all) to `run`, at most `slots` at a time, oldest first. */
  serve(options: { agents?: readonly string[]; slots: number; run: (claim: Claim) => Promise<void> }): StepServer;
  depth(agent?: string): number;
}

/** The result of one step: what the runtime will turn into a fact. The bus does not look inside. */
export interface StepResult {
  readonly sessionId: string;
  readonly stepId: string;
  readonly attempt: number;
  readonly body: unknown;
}

export type StepAttempt = Pick<StepResult, "stepId" | "attempt">;

export interface ResultRegister {
  put(result: StepResult): Promise<"first" | "already">;
  get(sessionId: string, stepId: string, attempt: number): Promise<StepResult | undefined>;
  list(sessionId: string): Promise<readonly StepResult[]>;
  /** Calls `onResult` for each first result of the session from now on. Returns the way to stop. */
  watch(sessionId: string, onResult: (result: StepResult) => void): () => void;
  /** Forgets the result of one attempt, which is committed, or all of the session's. It may come late: other attempts stay. */
  forget(sessionId: string, attempt?: StepAttempt): Promise<void>;
}

export interface JournalEntry {
  readonly sessionId: string;
  readonly stepId: string;
  readonly key: string;
  readonly value: Stored;
}

/** `ctx.once`: recorded results of side effects, acknowledged by the session's owner. */
export interface Journal {
  /** Resolves once the owner has committed the entry. `already`: another value stands there; read it with `list`. @throws ORCH_FENCED when nobody owns the session. */
  put(entry: JournalEntry): Promise<"first" | "already">;
  list(sessionId: string, stepId: string): Promise<readonly JournalEntry[]>;
  /** Whether somebody owns the session now: asked once, without waiting for an owner to come. */
  isOwned(sessionId: string): Promise<boolean>;
  /** The owner's side. */
  own(
    sessionId: string,
    owner: {
      put(entry: JournalEntry): Promise<"first" | "already">;
      list(stepId: string): Promise<readonly JournalEntry[]>;
    },
  ): () => void;
}

/** A command to the owner of a session, from anyone. */
export interface InboxCommand {
  readonly id: string;
  readonly type: "pause" | "resume" | "cancel" | "answer" | "context" | "checkpoint" | "restore";
  readonly body: unknown;
}

export interface Inbox {
  /** Durable once resolved. A repeated id is stored once. */
  post(sessionId: string, command: InboxCommand): Promise<void>;
  /** Commands after position `after` (0: from the first), in order. */
  read(
    sessionId: string,
    after: number,
  ): Promise<readonly { readonly position: number; readonly command: InboxCommand }[]>;
  watch(sessionId: string, onPosted: () => void): () => void;
  forget(sessionId: string): Promise<void>;
}

/** What a host says of itself; plain data that crosses the bus. */
export interface HostInfo {
  readonly host: string;
  /** Names of the agents whose steps it takes. */
  readonly agents: readonly string[];
  /** Sessions it owns. */
  readonly sessions: number;
  readonly version: string;
  /** Steps it runs at a time at most; 0 while it drains. */
  readonly slots: number;
  /** Steps it runs now. */
  readonly running: number;
  /** Hashes of the topologies it knows the code of. */
  readonly topologies: readonly string[];
  readonly startedAtMs: number;
  /** Whether it takes over sessions whose host is gone. */
  readonly adopts: boolean;
  readonly pid?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Lease {
  update(info: Partial<HostInfo>): Promise<void>;
  release(): Promise<void>;
  /** False from when no renewal has gone through for 0.6 of the lease's time, until one does: the host may be taken for dead, so it begins nothing. */
  readonly held: { now(): boolean; watch(onChange: (held: boolean) => void): () => void };
}

export interface Liveness {
  announce(info: HostInfo): Promise<Lease>;
  alive(): Promise<readonly HostInfo[]>;
  watch(onChange: (hosts: readonly HostInfo[]) => void): () => void;
}

/** A hint: at most once, may be lost. Tokens, progress, nudges. */
export interface LiveEvent {
  readonly sessionId: string;
  readonly event: unknown;
}

export interface LiveEvents {
  publish(event: LiveEvent): void;
  /** A subscriber that falls behind by `capacity` events loses the oldest; `dropped` counts them. A listener that throws is reported and kept. */
  subscribe(
    sessionId: string,
    onEvent: (event: unknown) => void,
    options?: { capacity?: number },
  ): { close(): void; readonly dropped: number };
}

/** A step that left the queue without a result: handed out too often, or given up by its worker. */
export interface DeadLetter {
  /** Unique on the bus; sorts by age. */
  readonly id: string;
  readonly sessionId: string;
  readonly stepId: string;
  readonly attempt: number;
  readonly agent: string;
  readonly reason: string;
  readonly atMs: number;
  /** How often it was handed out. */
  readonly deliveries: number;
}

/** The bus makes no results of dead letters: the owner of the session does. */
export interface DeadLetters {
  /** Oldest first, at most `limit` (default 100). `after` is the last id of the page before. */
  list(options?: { limit?: number; after?: string; sessionId?: string }): Promise<readonly DeadLetter[]>;
  get(id: string): Promise<(DeadLetter & { readonly step: StepMessage }) | undefined>;
  /** Forgets the letter; true when there was one. */
  drop(id: string): Promise<boolean>;
  /** Calls back for each dead letter of the session from now on; `list` tells the earlier ones. */
  watch(sessionId: string, onDead: (letter: DeadLetter) => void): () => void;
}

/** connected: calls are answered. reconnecting: they wait, or fail. closed: for good. */
export type BusStatus = "connected" | "reconnecting" | "closed";

/** All ports together: what the option `bus` takes. */
export interface Bus {
  readonly name: string;
  readonly steps: StepQueue;
  readonly results: ResultRegister;
  readonly journal: Journal;
  readonly inbox: Inbox;
  readonly liveness: Liveness;
  readonly live: LiveEvents;
  readonly deadLetters: DeadLetters;
  /** Absent where the bus cannot be cut off. Watchers are also called when a connection came back. */
  readonly status?: { now(): BusStatus; watch(onChange: (status: BusStatus) => void): () => void };
  close(): Promise<void>;
}
