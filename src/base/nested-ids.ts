// Names of nested sessions
//
// A nested run is found again by its name, so the name says what it is a run of: the step that asked for it, and what it
// asked for. docs/decisions/013-nested-sessions.md tells why.
//
// M1  All sessions nested directly in one session share the beginning of their names, so a store finds them without
//     looking at the others. Who has such a name need not be nested: the entry says that.
// M2  However deep runs are nested, a name is a valid session id.

import { createHash } from "node:crypto";

/** Longer names of parents are shortened, which leaves room for a step and a request within the 200 of a session id. */
const STEM_LENGTH_MAX = 150;
const REQUEST_LENGTH = 12;

/** `request` is what `requestHash` gave; `k` counts equal requests of one attempt from 1. */
export function nestedSessionId(parentId: string, stepId: string, request: string, k: number): string {
  return `${nestedPrefix(parentId)}${stepId}.${request}${k > 1 ? `.${k}` : ""}`;
}

/** What every name of a session nested directly in this one begins with, and no name of one nested in another does by rule. */
export function nestedPrefix(parentId: string): string {
  return parentId.length <= STEM_LENGTH_MAX ? `${parentId}.` : `nested_${hashOf(parentId).slice(0, 32)}.`;
}

/** Whether the step that ran it was made at the latest in this run, before or since a restore. Generations count restores. */
export function isFromUpTo(nestedId: string, parentId: string, { run, generation }: StepsUpTo): boolean {
  const [ofRun, ofGeneration] = nestedId.slice(nestedPrefix(parentId).length).split(".").map(Number);
  if (ofRun === undefined || ofGeneration === undefined) return false;
  return ofGeneration < generation || (ofGeneration === generation && ofRun <= run);
}

export interface StepsUpTo {
  readonly run: number;
  readonly generation: number;
}

/** Of the encoded request. */
export function requestHash(bytes: Uint8Array): string {
  return hashOf(bytes).slice(0, REQUEST_LENGTH);
}

/** The name a nested session, or one of its questions, has after its step was renamed; other names as they are. */
export function renameNested(name: string, from: StepName, to: StepName): string {
  const before = `${nestedPrefix(from.sessionId)}${from.stepId}.`;
  return name.startsWith(before) ? `${nestedPrefix(to.sessionId)}${to.stepId}.${name.slice(before.length)}` : name;
}

export interface StepName {
  readonly sessionId: string;
  readonly stepId: string;
}

function hashOf(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
