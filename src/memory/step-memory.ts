// Step memory: the memory as an agent sees it. What it adds says where it comes from, and a step that is aborted stops searching.

import type { Memory, MemoryProvenance, MemoryScope, StepMemory } from "./ports.ts";

export interface StepView {
  /** Where the agent searches and adds unless it says. */
  readonly scope: MemoryScope;
  /** Of what it adds. */
  readonly provenance: MemoryProvenance;
  readonly signal: AbortSignal;
}

export function stepMemory(memory: Memory, { scope: own, provenance, signal }: StepView): StepMemory {
  return {
    search: (query, options = {}) => memory.search(query, { signal, ...options, scope: options.scope ?? own }),
    async add(entry, { scope = own } = {}) {
      const [added] = await memory.add([entry], { scope, provenance, signal });
      if (added === undefined) throw new TypeError("an entry was added and is not there");
      return added;
    },
    get: (id) => memory.get(id),
    delete: async (id) => (await memory.delete([id])) > 0,
  };
}
