// Drafts: what is put into memory, checked and filled in, as it will be kept.

import { OrchestraError } from "../base/errors.ts";
import { copyValue } from "../base/value.ts";
import { assertOptions, check, durationMs, list, object, required } from "../runtime/option-schema.ts";
import type { Draft } from "./entry-store.ts";
import type { MemoryInput, MemoryOrigin, MemoryProvenance, MemoryScope } from "./ports.ts";
import { breathe, Pace } from "./pace.ts";
import { encodeContent, hashOf, textOf, type Content } from "./records.ts";
import { isName, NAME_CHARS_MAX, scopeKey } from "./scopes.ts";
import { hashBytes } from "../base/crc.ts";
import { encodeValue } from "../base/codec.ts";

const DEFAULT_NAMESPACE = "default";
const ENTRY_BYTES_MAX = 256 * 1024;

/** Entries that are written together. */
export const BATCH_MAX = 1000;

// What a draft takes; see Pace.
const DRAFTING_US = 40;
const DRAFTED_BYTES_PER_US = 100;

const name = check(isName, `a text of 1 to ${NAME_CHARS_MAX} characters`);
const quality = check((value) => Number.isFinite(value), "a finite number");
const plainRecord = check((value) => typeof value === "object" && value !== null && !Array.isArray(value), "an object");

const inputSchema = object({
  key: name,
  value: required((value) => value !== undefined, "a value"),
  text: check((value) => typeof value === "string", "a text"),
  namespace: name,
  tags: list(name),
  metadata: plainRecord,
  ttlMs: durationMs,
  provenance: plainRecord,
  quality,
});

const provenanceSchema = object({
  project: name,
  runId: name,
  cardId: name,
  agent: name,
  sessionId: name,
  assignmentId: name,
});

/** What all entries of one call have in common. */
export interface DraftTerms {
  readonly scope: MemoryScope;
  readonly origin: MemoryOrigin;
  /** For what the entries do not say themselves. */
  readonly provenance: MemoryProvenance;
  readonly nowMs: number;
}

/**
 * All of them, or none.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION` and `ORCH_NOT_SERIALIZABLE` with the path, `ORCH_PAYLOAD_TOO_LARGE` above 256 KiB.
 */
export async function draftsOf(inputs: readonly MemoryInput[], terms: DraftTerms): Promise<Draft[]> {
  if (!Array.isArray(inputs))
    throw new OrchestraError("ORCH_BAD_OPTION", `entries: expected an array, got ${typeof inputs}`);
  const drafts: Draft[] = [];
  const pace = new Pace();
  for (const [i, input] of inputs.entries()) {
    const draft = draftOf(input, terms, `entries[${i}]`);
    drafts.push(draft);
    if (pace.isDue(draftingUs(draft))) await breathe();
  }
  return drafts;
}

export function draftOf(input: MemoryInput, terms: DraftTerms, path: string): Draft {
  assertOptions(inputSchema, input, path);
  const copied = (value: unknown, field: string): unknown => copyValue(value, { name: `${path}.${field}` }).value;
  const provenance = { ...terms.provenance, ...input.provenance };
  assertKnownProvenance(provenance, path);
  const unnamed = {
    value: copied(input.value, "value"),
    text: input.text ?? null,
    namespace: input.namespace ?? DEFAULT_NAMESPACE,
    tags: [...new Set(input.tags)],
    metadata: copied(input.metadata ?? {}, "metadata") as Content["metadata"],
    scope: terms.scope,
    provenance: copied(provenance, "provenance") as MemoryProvenance,
    origin: terms.origin,
    quality: input.quality ?? null,
  };
  const key = input.key ?? hashBytes(encodeValue([unnamed.value, unnamed.text])).slice(0, 32);
  const content: Content = { ...unnamed, key };
  const bytes = encodeContent(content).byteLength;
  if (bytes > ENTRY_BYTES_MAX)
    throw new OrchestraError(
      "ORCH_PAYLOAD_TOO_LARGE",
      `${path}: an entry of ${bytes} bytes, the limit is ${ENTRY_BYTES_MAX}`,
      { details: { bytes, bytesMax: ENTRY_BYTES_MAX } },
    );
  const { ttlMs = false } = input;
  return {
    id: hashOf(scopeKey(terms.scope), content.namespace, key),
    content,
    bytes,
    expiresAtMs: ttlMs === false ? null : terms.nowMs + ttlMs,
  };
}

export function draftingUs({ bytes }: Draft): number {
  return DRAFTING_US + bytes / DRAFTED_BYTES_PER_US;
}

/** What is searched of each, as it is embedded. */
export function textsOf(drafts: readonly Draft[]): string[] {
  return drafts.map(({ content }) => textOf(content));
}

/** The fields that are known have their type; others are kept as they are. */
function assertKnownProvenance(provenance: MemoryProvenance, path: string): void {
  const known = Object.fromEntries(
    Object.keys(provenanceSchema.fields)
      .filter((field) => provenance[field] !== undefined)
      .map((field) => [field, provenance[field]]),
  );
  assertOptions(provenanceSchema, known, `${path}.provenance`);
}
