// Names
//
// What everything is called on the bus. Sessions, agents and steps are named by their users; on the bus a name is one
// token of a subject, so that no name can be taken for a wildcard, for two tokens or for another kind of subject.
//
// N1  Different names give different tokens (as far as SHA-256 does).
// N2  A token is `[A-Za-z0-9_-]{1,64}`.
// N3  No subject or stream of one tenant is matched by a pattern of another.

import { createHash } from "node:crypto";
import { OrchestraError } from "../base/errors.ts";

const PLAIN = /^[A-Za-z0-9_-]{1,64}$/;
const HASHED = /^h-[A-Za-z0-9_-]{43}$/;
const TENANT = /^[A-Za-z0-9_-]{1,32}$/;

/** The second token of subjects without a tenant. None of them may be the name of a tenant. */
export const KINDS = ["log", "work", "res", "in", "dlq", "blob", "ref", "spill", "done", "ev", "rpc", "sig"] as const;

export type SubjectKind = (typeof KINDS)[number];

/** A name as one token of a subject: as it is where it can be, else `h-` and its SHA-256 in base64url. */
export function encodeName(name: string): string {
  if (PLAIN.test(name) && !HASHED.test(name)) return name;
  return `h-${createHash("sha256").update(name, "utf8").digest("base64url")}`;
}

/** The durable consumer of an agent in the work queue, by the agent's token. */
export function agentConsumerName(agentToken: string): string {
  return `agent_${agentToken}`;
}

/** Subjects, streams and buckets of one tenant. */
export interface Names {
  readonly tenant: string | undefined;
  /** `o` or `o.<tenant>`. */
  readonly prefix: string;
  readonly streams: {
    readonly log: string;
    readonly work: string;
    readonly results: string;
    readonly inbox: string;
    readonly dead: string;
    readonly blobs: string;
    readonly spill: string;
  };
  readonly buckets: {
    readonly hosts: string;
    readonly sessions: string;
    readonly snapshots: string;
    readonly checkpoints: string;
  };
  log(sessionId: string): string;
  work(agent: string, sessionId: string, stepId: string, attempt: number): string;
  result(sessionId: string, stepId: string, attempt: number): string;
  inbox(sessionId: string): string;
  dead(agent: string, sessionId: string, stepId: string, attempt: number): string;
  /** A blob by its SHA-256 (hex), or its chunk `index`. */
  blob(hash: string, index?: number): string;
  blobRef(hash: string, sessionId: string): string;
  /** Subjects of one kind: `pattern("work", "*", ">")` is `o.work.*.>`. A name among the tokens has to be encoded. */
  pattern(kind: SubjectKind, ...tokens: readonly string[]): string;
  /** Chunk `index` of a payload too large for one message. */
  spill(hash: string, index: number): string;
  /** Hints, at most once: a result is in the register. */
  done(sessionId: string): string;
  events(sessionId: string): string;
  /** Requests to the owner of a session. */
  rpc(sessionId: string): string;
  /** Nudges to every host. */
  signal(kind: string): string;
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` for a tenant that is no token, or named like a kind of subject. */
export function namesOf({ tenant }: { tenant?: string | undefined } = {}): Names {
  if (tenant !== undefined) assertTenant(tenant);
  const prefix = tenant === undefined ? "o" : `o.${tenant}`;
  const suffix = tenant === undefined ? "" : `_${tenant}`;
  const pattern = (kind: SubjectKind, ...tokens: readonly string[]): string => [prefix, kind, ...tokens].join(".");
  const subject = (kind: SubjectKind, ...names: readonly string[]): string => pattern(kind, ...names.map(encodeName));
  const stream = (name: string): string => `ORCH_${name}${suffix}`;
  return Object.freeze({
    tenant,
    prefix,
    streams: Object.freeze({
      log: stream("LOG"),
      work: stream("WORK"),
      results: stream("RES"),
      inbox: stream("IN"),
      dead: stream("DLQ"),
      blobs: stream("BLOBS"),
      spill: stream("SPILL"),
    }),
    buckets: Object.freeze({
      hosts: `orch_hosts${suffix}`,
      sessions: `orch_sessions${suffix}`,
      snapshots: `orch_snapshots${suffix}`,
      checkpoints: `orch_checkpoints${suffix}`,
    }),
    pattern,
    log: (sid: string) => subject("log", sid),
    work: (agent: string, sid: string, step: string, attempt: number) =>
      subject("work", agent, sid, step, String(attempt)),
    result: (sid: string, step: string, attempt: number) => subject("res", sid, step, String(attempt)),
    inbox: (sid: string) => subject("in", sid),
    dead: (agent: string, sid: string, step: string, attempt: number) =>
      subject("dlq", agent, sid, step, String(attempt)),
    blob: (hash: string, index?: number) =>
      index === undefined ? subject("blob", hash) : subject("blob", hash, String(index)),
    blobRef: (hash: string, sid: string) => subject("ref", hash, sid),
    spill: (hash: string, index: number) => subject("spill", hash, String(index)),
    done: (sid: string) => subject("done", sid),
    events: (sid: string) => subject("ev", sid),
    rpc: (sid: string) => subject("rpc", sid),
    signal: (kind: string) => subject("sig", kind),
  });
}

function assertTenant(tenant: string): void {
  if (!TENANT.test(tenant))
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `tenant: expected 1 to 32 letters (a-z, A-Z), digits, _ or -, got ${JSON.stringify(tenant)}`,
    );
  if ((KINDS as readonly string[]).includes(tenant))
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `tenant: "${tenant}" is a kind of subject; expected none of ${KINDS.join(", ")}`,
    );
}
