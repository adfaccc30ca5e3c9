// Agent registry: agents by name, for runs that share them. There is none for the whole process; each is made and handed in.
// One may stand on another: what it does not know itself it finds there, also what comes there later.

import { OrchestraError } from "../base/errors.ts";
import type { AgentDirectory, AgentLike, NamedAgent } from "../runtime/agent-source.ts";

export class AgentRegistry implements AgentDirectory {
  readonly #agents = new Map<string, AgentLike>();
  #base: AgentRegistry | undefined;

  /** @throws {OrchestraError} `ORCH_BAD_OPTION` as for `register`. */
  constructor(agents: Readonly<Record<string, AgentLike>> | Iterable<NamedAgent> = {}) {
    if (isIterable(agents)) for (const agent of agents) this.register(agent);
    else for (const [name, agent] of Object.entries(agents)) this.register(name, agent);
  }

  /**
   * A registry of its own that stands on this one: what is registered there hides what is here under that name, and
   * changes nothing here. For what differs in one run, one tenant or one test.
   *
   * @throws {OrchestraError} `ORCH_BAD_OPTION` as for `register`.
   */
  extend(agents: Readonly<Record<string, AgentLike>> | Iterable<NamedAgent> = {}): AgentRegistry {
    const extended = new AgentRegistry(agents);
    extended.#base = this;
    return extended;
  }

  /**
   * Adds an agent under its own name, or anything that may stand for one under `name`. Returns the registry.
   *
   * @throws {OrchestraError} `ORCH_BAD_OPTION` when the name is taken (`replace` says it may be) or it is no agent.
   */
  register(agent: NamedAgent): this;
  register(name: string, agent: AgentLike, options?: { replace?: boolean }): this;
  register(first: string | NamedAgent, second?: AgentLike, { replace = false }: { replace?: boolean } = {}): this {
    const [name, agent] = typeof first === "string" ? [first, second] : [first.name, first];
    if (typeof name !== "string" || name === "")
      throw new OrchestraError("ORCH_BAD_OPTION", "AgentRegistry.register: expected a name, or an agent with one");
    if (agent === undefined || agent === null || (typeof agent !== "function" && typeof agent !== "object")) {
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `AgentRegistry.register: agent "${name}": expected a function, an agent with run(), a pool or a topology, got ${JSON.stringify(agent)}`,
      );
    }
    if (this.#agents.has(name) && !replace)
      throw new OrchestraError(
        "ORCH_BAD_OPTION",
        `AgentRegistry.register: an agent named "${name}" is registered already; pass { replace: true } to replace it`,
      );
    this.#agents.set(name, agent);
    return this;
  }

  /** True when there was one here; one of a registry this stands on stays. A step that is running goes on. */
  unregister(name: string): boolean {
    return this.#agents.delete(name);
  }

  /** What was registered under the name, as it was given. */
  get(name: string): AgentLike | undefined {
    return this.#agents.get(name) ?? this.#base?.get(name);
  }

  has(name: string): boolean {
    return this.#agents.has(name) || this.#base?.has(name) === true;
  }

  /** Its own last, those of what it stands on first. */
  names(): readonly string[] {
    return [...new Set([...(this.#base?.names() ?? []), ...this.#agents.keys()])];
  }

  get size(): number {
    return this.#base === undefined ? this.#agents.size : this.names().length;
  }
}

function isIterable(agents: object): agents is Iterable<NamedAgent> {
  return Symbol.iterator in agents;
}
