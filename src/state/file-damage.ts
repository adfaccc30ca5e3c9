// What is wrong with a file of a store, and what that can be known to have cost.

import { keys as keyOf, sessionOf } from "./level-keys.ts";

export interface FileDamage {
  /** Its name in the folder. */
  readonly file: string;
  /** Byte at which the damage begins; null for a file that is missing or cut off. */
  readonly offset: number | null;
  readonly message: string;
  /** The damaged bytes, and the keys of what can be had out of them all the same. */
  readonly bytes?: Buffer;
  readonly rescued?: readonly string[];
  /** Keys that can be made out in the damaged part, of what cannot be had out of it. */
  readonly lost?: readonly string[];
  /** Keys between which the damaged part stood; null where there is none. */
  readonly between?: readonly [Buffer | null, Buffer | null];
  /** False when everything that stood there can be had without it. */
  readonly losesData: boolean;
}

export interface FolderDamage {
  readonly file: string;
  /** Byte at which it begins; null for a file that is missing or of the wrong length. */
  readonly offset: number | null;
  readonly message: string;
  /** False when all that stood there is known from elsewhere. */
  readonly losesData: boolean;
  /** Commits that can be made out in the damaged bytes and are lost; there may have been others. */
  readonly held: readonly { readonly sessionId: string; readonly from: number; readonly to: number }[];
  /** Every session that can be made out to have had a record there which is lost, its commits among them. */
  readonly sessions: readonly string[];
  /** Keys between which the damaged part stood, where that is known; "" where there is none on that side. */
  readonly between?: readonly [string, string];
}

const COMMIT_KEYS = /c\/[\p{L}\p{N}_.:@+-]{1,200}\/\d{12}/gu;
const COMMIT_KEY = /^c\/([^/]+)\/(\d{12})$/;

/** "file 000005.ldb at byte 4096: a block fails its checksum" */
export function messageOf({ file, offset, message }: Pick<FileDamage, "file" | "offset" | "message">): string {
  return `file ${file}${offset === null ? "" : ` at byte ${offset}`}: ${message}`;
}

export function asFolderDamage({ bytes, rescued = [], lost = [], between, ...damage }: FileDamage): FolderDamage {
  const madeOut = [...(bytes?.toString("utf8").match(COMMIT_KEYS) ?? [])].filter((key) => !rescued.includes(key));
  const keys = [...new Set([...madeOut, ...lost])];
  const held = new Map<string, { from: number; to: number }>();
  for (const key of keys) {
    const [, sessionId, digits] = COMMIT_KEY.exec(key) ?? [];
    if (sessionId === undefined) continue;
    const n = Number(digits);
    const range = held.get(sessionId) ?? { from: n, to: n };
    held.set(sessionId, { from: Math.min(range.from, n), to: Math.max(range.to, n) });
  }
  const [before, behind] = (between ?? []).map((key) => key?.toString() ?? "");
  const around = before === undefined || behind === undefined ? null : sessionAround(before, behind);
  const sessions = new Set([...keys.map(sessionOf), around].filter((one) => one !== null));
  return {
    ...damage,
    held: [...held].map(([sessionId, range]) => ({ sessionId, ...range })),
    sessions: [...sessions].sort(),
    ...(before === undefined || behind === undefined ? {} : { between: [before, behind] as const }),
  };
}

/** Between two keys of one session and kind stand only others like them. */
function sessionAround(before: string, behind: string): string | null {
  const sessionId = sessionOf(before);
  return sessionId !== null && before[0] === behind[0] && sessionOf(behind) === sessionId ? sessionId : null;
}

/** Keys of snapshots and checkpoints that are lost. All other records are made anew, or found missing by who refers to them. */
export function lostOf(sessionId: string, damages: readonly FileDamage[]): readonly string[] {
  return damages.flatMap(({ lost = [] }) => lost).filter((key) => /^[sk]\//.test(key) && sessionOf(key) === sessionId);
}

/**
 * Whether commit `n` of a session may have been lost without a trace: it, and what the session is known by to have had it,
 * may both have stood in damaged parts whose keys are unknown.
 */
export function mayHoldCommit(damages: readonly FileDamage[], sessionId: string, n: number): boolean {
  return [keyOf.commit(sessionId, n), keyOf.head(sessionId)].every((key) =>
    damages.some((damage) => mayHold(damage, key)),
  );
}

function mayHold({ losesData, bytes, between = [null, null] }: FileDamage, key: string): boolean {
  // Out of bytes that are there as they were written, keys can be made out.
  if (!losesData || bytes !== undefined) return false;
  const [wanted, [before, behind]] = [Buffer.from(key), between];
  return (
    (before === null || Buffer.compare(before, wanted) <= 0) && (behind === null || Buffer.compare(wanted, behind) <= 0)
  );
}

export function gone(file: string): FileDamage {
  return withoutPlace(file, "it is missing");
}

export function withoutPlace(file: string, message: string): FileDamage {
  return { file, offset: null, message, losesData: true };
}
