// Step memory: the memory as an agent sees it. What it adds says where it comes from, and a step that is aborted stops searching.

import type { Memory, MemoryStep, StepMemory } from "./ports.ts";

export function stepMemory(memory: Memory, step: MemoryStep): StepMemory {
  const { sessionId, runId, node, signal } = step;
  const own = { sessionId };
  return {
    search: (query, options = {}) => memory.search(query, { signal, ...options, scope: options.scope ?? own }),
    async add(entry, { scope = own } = {}) {
      const provenance = { sessionId, runId, agent: node };
      const [added] = await memory.add([entry], { scope, provenance, signal });
      if (added === undefined) throw new TypeError("an entry was added and is not there");
      return added;
    },
    get: (id) => memory.get(id),
    delete: async (id) => (await memory.delete([id])) > 0,
  };
}
