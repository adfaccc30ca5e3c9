// Thesaurus: a small list of words that people use for one another in technical documents.
//
// It knows language, not the folder: what a folder's own authors use for a thing comes from its statistics
// (vocabulary.ts). A group is reached by any of its heads and lends all its words.

import { stem } from "./words.ts";

const GROUPS: readonly { readonly heads: string; readonly words: string }[] = [
  {
    heads: "keep keeps store storage save persist persistence retain hold database",
    words: "store storage save persist persistent persistence database db disk",
  },
  {
    heads: "move send transfer transport transmit carry exchange deliver ship",
    words: "transport transfer stream send serialize serialization serializer messagepack protocol pipe",
  },
  {
    heads: "crash crashes failure outage power kill durability durable lost loss",
    words:
      "crash crashes failure durable durability lost loss corrupt corruption corrupted atomic atomically fsync flush flushed recover recovery repair uncaught",
  },
  { heads: "licence license licensing copyright legal", words: "license licensed copyright" },
  {
    heads: "fast speed performance slow latency throughput",
    words: "fast faster slow performance benchmark latency throughput overhead",
  },
  {
    heads: "secure security safe attack vulnerability",
    words: "security secure vulnerability attack sanitize untrusted injection",
  },
  { heads: "test testing check verify", words: "test assertion verify coverage" },
  { heads: "error exception throw", words: "error exception throw reject" },
  { heads: "cost price pay", words: "cost price fee payment charge" },
  { heads: "break breaking upgrade migrate migration", words: "breaking upgrade migrate deprecated removed" },
];

const byHead = new Map<string, Set<string>>();
for (const group of GROUPS) {
  const lent = group.words.split(" ").map(stem);
  for (const head of group.heads.split(" ").map(stem)) {
    const known = byHead.get(head) ?? new Set<string>();
    for (const word of lent) known.add(word);
    byHead.set(head, known);
  }
}

/** Other terms for `term`, without itself; empty when the thesaurus does not know it. */
export function synonyms(term: string): string[] {
  return [...(byHead.get(term) ?? [])].filter((one) => one !== term);
}

export function isLicenceTerm(term: string): boolean {
  return term === stem("license") || term === stem("licensing") || term === stem("licensed");
}
