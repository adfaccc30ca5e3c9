// Canaries: known defects, planted in the simulated parts around the runtime. A simulation that does not find them sees nothing.

import type { Check } from "./findings.ts";

export const CANARIES = {
  "flushes-nothing": { check: "S1", plants: "the disk says that it flushed, and did not" },
  "acknowledges-first": { check: "S1", plants: "the store acknowledges a commit before it is written" },
  "repeats-a-fact": { check: "S2", plants: "the store writes a fact of a commit twice" },
  "changes-a-result": {
    check: "S3",
    plants: "the owner of a session is told another result than the first one registered",
  },
  "counts-one-more": { check: "S4", plants: "a join counts an arrival that nobody saw" },
  "snapshots-too-early": { check: "S5", plants: "a snapshot holds the state of the commit before the one it names" },
  "invents-a-step": { check: "S6", plants: "a step is offered that no commit asks for" },
  "offers-after-the-end": { check: "S7", plants: "a step is offered again after its run has ended" },
  "revives-a-run": { check: "S8", plants: "a commit to a run that has ended" },
  "tries-forever": { check: "S9", plants: "an attempt is offered under a number above what the policy allows" },
  "swallows-an-answer": { check: "S10", plants: "a call of the runtime ends, and its caller is never told" },
  "loses-a-result": { check: "L1", plants: "a registered result never reaches the owner of its session" },
  "leaves-a-step": { check: "L2", plants: "a step stays in the queue when all is over" },
  "leaks-a-timer": { check: "L3", plants: "a timer of a closed process stays" },
} as const satisfies Canaries;

/** Those that take several hosts. */
export const CLUSTER_CANARIES = {
  "ignores-the-position": { check: "S1", plants: "the log accepts a commit wherever its writer thinks that it ends" },
  "last-result-wins": { check: "S3", plants: "a second result of an attempt takes the place of the first" },
  "goes-on-when-fenced": { check: "S7", plants: "a host offers steps of a session that it was told another owns" },
  "trusts-hints": { check: "L1", plants: "nobody looks for results that no hint told of" },
  "buries-nobody": { check: "L1", plants: "a lease never runs out" },
} as const satisfies Canaries;

type Canaries = Readonly<Record<string, { readonly check: Check; readonly plants: string }>>;

export type Canary = keyof typeof CANARIES | keyof typeof CLUSTER_CANARIES;
