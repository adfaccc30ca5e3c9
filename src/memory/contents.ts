// Contents: how much is kept in which scope.

import type { EntryStore } from "./entry-store.ts";
import type { MemoryContents, MemoryScope } from "./ports.ts";
import type { Kept } from "./records.ts";
import { scopeKey } from "./scopes.ts";

/** In the order in which scopes were first used. */
export async function readContents(
  store: EntryStore,
  counts: (entry: Kept) => boolean,
): Promise<readonly MemoryContents[]> {
  const scopes = new Map<string, { readonly scope: MemoryScope; readonly namespaces: Map<string, number> }>();
  for (let seqs = await store.seqsAfter(0); seqs.length > 0; seqs = await store.seqsAfter(seqs.at(-1) as number))
    for (const entry of await store.read(seqs)) {
      if (entry === undefined || !counts(entry)) continue;
      const { scope, namespace } = entry;
      const { namespaces } = scopes.get(scopeKey(scope)) ?? { namespaces: new Map<string, number>() };
      namespaces.set(namespace, (namespaces.get(namespace) ?? 0) + 1);
      scopes.set(scopeKey(scope), { scope, namespaces });
    }
  return [...scopes.values()].map(({ scope, namespaces }) => ({
    scope,
    entries: [...namespaces.values()].reduce((a, b) => a + b, 0),
    namespaces: [...namespaces].map(([namespace, entries]) => ({ namespace, entries })),
  }));
}
