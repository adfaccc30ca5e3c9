// Harvest: what a run came to, as entries that outlive it.

import { encodeValue } from "../base/codec.ts";
import { hashBytes } from "../base/crc.ts";
import { OrchestraError } from "../base/errors.ts";
import { BATCH_MAX, draftingUs, draftOf } from "./drafts.ts";
import type { Draft } from "./entry-store.ts";
import type { ArtifactScores, HarvestOptions, MemoryArtifact, MemoryProvenance, MemoryScope } from "./ports.ts";
import { breathe, Pace } from "./pace.ts";
import { encodeContent, type Kept } from "./records.ts";
import { isName, NAME_CHARS_MAX, parseScope } from "./scopes.ts";

/** Without these nobody can say later what an entry is worth. */
const REQUIRED = ["project", "runId", "cardId", "agent"] as const;

const LEARNING = "learning/";

export interface Harvest {
  readonly receiptId: string;
  readonly scope: MemoryScope;
  readonly drafts: readonly Draft[];
}

/**
 * Keys carry the run, so that what another run calls the same is kept beside it.
 *
 * @throws {OrchestraError} `ORCH_MEMORY_PROVENANCE`, `ORCH_BAD_OPTION`, `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE`
 */
export async function decideHarvest(
  runId: string,
  artifacts: readonly MemoryArtifact[],
  scores: ArtifactScores,
  options: HarvestOptions,
  nowMs: number,
): Promise<Harvest> {
  if (!Array.isArray(artifacts))
    throw new OrchestraError("ORCH_BAD_OPTION", `artifacts: expected an array, got ${typeof artifacts}`);
  if (artifacts.length > BATCH_MAX) throw tooMany(artifacts.length);
  const scope = parseScope(options.scope ?? "global");
  const drafts: Draft[] = [];
  const parts: unknown[] = [];
  const pace = new Pace();
  for (const [i, artifact] of artifacts.entries()) {
    const path = `artifacts[${i}]`;
    if (!isName(artifact?.key))
      throw new OrchestraError("ORCH_BAD_OPTION", `${path}.key: expected a text of 1 to ${NAME_CHARS_MAX} characters`);
    const provenance = { ...options.provenance, ...artifact.provenance, runId };
    assertProvenance(provenance, `${path} (${JSON.stringify(artifact.key)})`);
    const given = artifact.quality ?? scoreOf(scores, artifact.key, i, artifacts.length);
    const { quality: _replaced, ...input } = artifact;
    const draft = draftOf(
      { ...input, key: keyOf(runId, artifact.key), provenance, ...(given === undefined ? {} : { quality: given }) },
      { scope, origin: "harvested", provenance: {}, nowMs },
      path,
    );
    drafts.push(draft);
    parts.push([draft.id, encodeContent(draft.content)]);
    if (pace.isDue(2 * draftingUs(draft))) await breathe();
  }
  return { receiptId: hashBytes(encodeValue([runId, scope, parts])).slice(0, 32), scope, drafts };
}

/** A learning of the run as it is kept with the harvest. */
export function learningDraft(learning: Kept, { scope }: Harvest, provenance: MemoryProvenance, nowMs: number): Draft {
  const { key, value, text, namespace, tags, metadata, quality } = learning;
  const draft = draftOf(
    {
      key: keyOfLearning(String(provenance.runId), key),
      value,
      namespace,
      tags,
      metadata,
      provenance: { ...provenance, ...learning.provenance },
      ...(text === null ? {} : { text }),
      ...(quality === null ? {} : { quality }),
    },
    { scope, origin: "learned", provenance: {}, nowMs },
    `learning ${key}`,
  );
  return { ...draft, expiresAtMs: learning.expiresAtMs };
}

/** No two of run and key give the same. */
function keyOf(runId: string, key: string): string {
  return fitting(`${escaped(runId)}/${key.startsWith(LEARNING) || key.startsWith("%") ? "%" : ""}${key}`);
}

function keyOfLearning(runId: string, key: string): string {
  return fitting(`${escaped(runId)}/${LEARNING}${key}`);
}

function escaped(runId: string): string {
  return runId.replaceAll("%", "%25").replaceAll("/", "%2F");
}

/** Its hash stands for one that is too long. */
function fitting(key: string): string {
  return key.length <= NAME_CHARS_MAX ? key : hashBytes(encodeValue(key));
}

export function assertProvenance(provenance: MemoryProvenance, what: string): void {
  const missing = REQUIRED.filter((field) => typeof provenance[field] !== "string" || provenance[field] === "");
  if (missing.length === 0) return;
  throw new OrchestraError(
    "ORCH_MEMORY_PROVENANCE",
    `${what}: its provenance lacks ${missing.join(", ")}; nothing was harvested`,
    { details: { missing } },
  );
}

export function tooMany(count: number): OrchestraError {
  return new OrchestraError(
    "ORCH_BAD_OPTION",
    `artifacts: expected at most ${BATCH_MAX} with the learnings, got ${count}`,
  );
}

function scoreOf(scores: ArtifactScores, key: string, at: number, count: number): number | undefined {
  if (typeof scores === "number") return scores;
  if (Array.isArray(scores)) {
    if (scores.length !== count)
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `scores: expected one for each of ${count} artifacts, got ${scores.length}`,
      );
    return scores[at] as number;
  }
  if (typeof scores !== "object" || scores === null)
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `scores: expected a number, an array or numbers by key, got ${String(scores)}`,
    );
  return Object.hasOwn(scores, key) ? (scores as Readonly<Record<string, number>>)[key] : undefined;
}
