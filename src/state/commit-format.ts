// Commit format
//
// A commit as bytes: a record bound to its place, holding MessagePack of [format, n, epoch, id, host, atMs, inbox,
// facts, packed]. One upgrade function per step of the format; a commit written by a newer program is refused.

import type { Fact } from "../actors/facts.ts";
import { decodeValue } from "../base/codec.ts";
import { OrchestraError } from "../base/errors.ts";
import { decodeRecord, encodeValueRecord } from "../base/record.ts";
import { packFact, unpackFact } from "./packed-facts.ts";
import type { Commit } from "./ports.ts";

export const COMMIT_FORMAT = 2;

/** Turns the fields of format `index + 1` into those of the one after it. */
const UPGRADES: readonly ((fields: readonly unknown[]) => readonly unknown[])[] = [
  // Since 2 some facts stand packed; those of 1, none of which do, are read the same way.
  (fields) => fields,
];

export function encodeCommit(commit: Commit, binding: string): Uint8Array {
  const { n, epoch, id, host, atMs, inbox, facts } = commit;
  return encodeValueRecord(
    "commit",
    [COMMIT_FORMAT, n, epoch, id, host, atMs, inbox ?? null, facts.map(packFact)],
    binding,
  );
}

/**
 * @throws {OrchestraError} `ORCH_STORE_CORRUPT` when the bytes are not the commit that was stored under `binding`;
 *   `ORCH_STORE_VERSION` when a newer program wrote them.
 */
export function decodeCommit(record: Uint8Array, binding: string): Commit {
  const fields = decodeValue(decodeRecord("commit", record, binding));
  if (!Array.isArray(fields)) throw broken(binding, "it is no list of fields");
  return commitOf(upgrade(fields, binding), binding);
}

/** L3: in all they hold, not by their ids alone. */
export function isSameCommit(a: Commit, b: Commit): boolean {
  return a === b || (a.id === b.id && Buffer.compare(encodeCommit(a, a.id), encodeCommit(b, a.id)) === 0);
}

function upgrade(fields: readonly unknown[], binding: string): readonly unknown[] {
  const format = fields[0];
  if (typeof format !== "number" || format < 1) throw broken(binding, `format is ${JSON.stringify(format)}`);
  if (format > COMMIT_FORMAT) {
    throw new OrchestraError(
      "ORCH_STORE_VERSION",
      `commit ${binding} has format ${format}; this program reads up to ${COMMIT_FORMAT}`,
      { details: { key: binding, version: format, supported: COMMIT_FORMAT } },
    );
  }
  return UPGRADES.slice(format - 1).reduce((older, step) => step(older), fields);
}

function commitOf([, n, epoch, id, host, atMs, inbox, packed]: readonly unknown[], binding: string): Commit {
  const facts = Array.isArray(packed)
    ? packed.map((fact: unknown) => (Array.isArray(fact) ? unpackFact(fact) : fact))
    : packed;
  if (
    !isCount(n) ||
    !isCount(epoch) ||
    typeof id !== "string" ||
    typeof host !== "string" ||
    typeof atMs !== "number" ||
    !isFacts(facts)
  ) {
    throw broken(binding, "a field has the wrong type");
  }
  assertFactsKnown(facts, binding);
  const commit: Commit = { v: 1, n, epoch, id, host, atMs, facts };
  return typeof inbox === "number" ? { ...commit, inbox } : commit;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

// What we wrote ourselves and what passed its checksum needs no schema; imports get one (transfer.ts).
function isFacts(value: unknown): value is readonly { readonly type: string }[] {
  return (
    Array.isArray(value) &&
    value.every(
      (fact) => typeof fact === "object" && fact !== null && typeof (fact as { type?: unknown }).type === "string",
    )
  );
}

const FACT_TYPES: Readonly<Record<Fact["type"], true>> = {
  "run.started": true,
  "step.succeeded": true,
  "step.failed": true,
  "step.suspended": true,
  journaled: true,
  "timer.fired": true,
  "user.answered": true,
  "question.expired": true,
  "context.added": true,
  paused: true,
  resumed: true,
  cancelled: true,
  owned: true,
  migrated: true,
  checkpointed: true,
  restored: true,
};

/**
 * To pass over a fact that this program has no rule for would be to tell another story.
 * @throws {OrchestraError} `ORCH_STORE_VERSION` naming the kind of fact that only a newer program can have written.
 */
export function assertFactsKnown(
  facts: readonly { readonly type: string }[],
  binding: string,
): asserts facts is readonly Fact[] {
  const unknown = facts.find(({ type }) => !Object.hasOwn(FACT_TYPES, type));
  if (unknown === undefined) return;
  throw new OrchestraError(
    "ORCH_STORE_VERSION",
    `commit ${binding} holds a fact ${JSON.stringify(unknown.type)} that a newer program wrote; this program reads format ${COMMIT_FORMAT} as it was without it`,
    { details: { key: binding, fact: unknown.type, supported: COMMIT_FORMAT } },
  );
}

function broken(key: string, message: string): OrchestraError {
  return new OrchestraError("ORCH_STORE_CORRUPT", `commit ${key}: ${message}`, { details: { key } });
}
