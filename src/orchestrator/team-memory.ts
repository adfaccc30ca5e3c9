// Team memory
//
// Owns:      memory as a run's agents see it, and the record of what they searched for.
// Does not:  remember anything (orchestra/memory), or tell of it (run-events.ts).
//
// S1  A search is in the journal of the run's `team` step before the agent that made it hears of what was found. So it is known
//     to whichever process ends that step.
// S2  What a step searches for when it runs again, after a crash or to retry, it has searched for once.

import { encodeValue } from "../base/codec.ts";
import { hashBytes } from "../base/crc.ts";
import { nestedPrefix } from "../base/nested-ids.ts";
import type { Memory, MemoryOfSteps, MemoryStep, StepMemory } from "../memory/ports.ts";
import { stepMemory } from "../memory/step-memory.ts";
import type { AgentContext } from "../runtime/agent.ts";
import { shortList, shortQuery } from "./event-room.ts";
import type { MemoryKey, Searched, Searches } from "./run-events.ts";
import type { RunSpec } from "./run-spec.ts";

/** Of one go of the team; what is searched for beyond is counted. */
const SEARCHES_MAX = 100;
const ENTRIES_BYTES_MAX = 1_024;
const TOLD_BYTES_MAX = 4_096;

type Noted = Searched & { readonly id: string };

export class TeamMemory implements MemoryOfSteps {
  readonly #memory: Memory;
  /** By what the names of the sessions begin with that are nested in the step. */
  readonly #going = new Map<string, TeamSearches>();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Of a run's team: the run's. Of others, as the memory gives it. */
  forStep(step: MemoryStep): StepMemory {
    for (const [prefix, searches] of this.#going) if (step.sessionId.startsWith(prefix)) return searches.forStep(step);
    return this.#memory.forStep(step);
  }

  /** One go of the team, and what its agents searched for meanwhile. `ctx`: of the `team` step. */
  async during<T>(
    ctx: AgentContext,
    spec: RunSpec,
    go: () => Promise<T>,
  ): Promise<{ readonly value: T; readonly searches: Searches }> {
    const prefix = `${nestedPrefix(ctx.sessionId)}${ctx.stepId}.`;
    const searches = await TeamSearches.open(this.#memory, ctx, spec);
    this.#going.set(prefix, searches);
    try {
      const value = await go();
      return { value, searches: searches.told() };
    } finally {
      if (this.#going.get(prefix) === searches) this.#going.delete(prefix);
    }
  }
}

class TeamSearches {
  readonly #memory: Memory;
  readonly #ctx: AgentContext;
  readonly #spec: RunSpec;
  readonly #noted: Noted[];
  #next: number;
  #uncounted = 0;

  private constructor(memory: Memory, ctx: AgentContext, spec: RunSpec, noted: Noted[]) {
    this.#memory = memory;
    this.#ctx = ctx;
    this.#spec = spec;
    this.#noted = noted;
    this.#next = noted.length;
  }

  /** With what was noted before this step was run again. */
  static async open(memory: Memory, ctx: AgentContext, spec: RunSpec): Promise<TeamSearches> {
    const noted: Noted[] = [];
    for (let one = await recorded(ctx, 0); one !== null; one = await recorded(ctx, noted.length)) noted.push(one);
    return new TeamSearches(memory, ctx, spec, noted);
  }

  forStep({ sessionId, stepId, node, signal }: MemoryStep): StepMemory {
    const runId = this.#ctx.sessionId;
    const view = stepMemory(this.#memory, {
      scope: { runId },
      provenance: { ...this.#spec.provenance, runId, sessionId, agent: node },
      signal,
    });
    const asked = new Map<string, number>();
    return {
      ...view,
      search: async (query, options = {}) => {
        const { signal: _signal, ...terms } = options;
        const what = hashBytes(encodeValue([sessionId, stepId, query, terms]));
        const times = (asked.get(what) ?? 0) + 1;
        asked.set(what, times);
        const found = await view.search(query, options);
        const keys = found.map(({ key, namespace }): MemoryKey => ({ key, namespace }));
        const { shown: entries, more } = shortList(keys, ENTRIES_BYTES_MAX);
        const id = `${what.slice(0, 16)}.${times}`;
        await this.#note({ id, agent: node, query: shortQuery(query), entries, ...(more > 0 && { more }) });
        return found;
      },
    };
  }

  told(): Searches {
    const { shown, more } = shortList(
      this.#noted.map(({ id: _id, ...search }) => search),
      TOLD_BYTES_MAX,
    );
    return { shown, more: more + this.#uncounted };
  }

  /** S1, S2 */
  async #note(search: Noted): Promise<void> {
    while (!this.#noted.some(({ id }) => id === search.id)) {
      const place = this.#next++;
      if (place >= SEARCHES_MAX) {
        this.#uncounted += 1;
        return;
      }
      // Another's stands there where it was recorded behind a gap that a crash left.
      this.#noted.push(await this.#ctx.once(keyOf(place), () => search));
    }
  }
}

function keyOf(place: number): string {
  return `memory.searched ${place}`;
}

/** What the journal has in a place, or null. A function that fails records nothing. */
async function recorded(ctx: AgentContext, place: number): Promise<Noted | null> {
  const nothing = new Error("nothing is recorded there");
  return ctx
    .once(keyOf(place), (): Noted => {
      throw nothing;
    })
    .catch((error: unknown) => {
      if (error === nothing) return null;
      throw error;
    });
}
