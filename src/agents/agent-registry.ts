// Agent registry: agents by name, for runs that share them. There is none for the whole process; each is made and handed in.

import { OrchestraError } from "../base/errors.ts";
import type { AgentSource, RunnableAgent } from "../runtime/agent.ts";
import { toRunnableAgent, type AgentLike } from "../runtime/agent-source.ts";

export class AgentRegistry implements AgentSource {
  readonly #agents = new Map<string, RunnableAgent>();

  constructor(agents: Readonly<Record<string, AgentLike>> | Iterable<RunnableAgent> = {}) {
    if (Symbol.iterator in agents) for (const agent of agents as Iterable<RunnableAgent>) this.register(agent);
    else for (const [name, agent] of Object.entries(agents as Readonly<Record<string, AgentLike>>)) this.register(name, agent);
  }

  /**
   * Adds an agent under its own name, or anything that may stand for one under `name`. Returns the registry.
   *
   * @throws {OrchestraError} `ORCH_BAD_OPTION` when the name is taken (`replace` says it may be) or it is no agent.
   */
  register(agent: RunnableAgent): this;
  register(name: string, agent: AgentLike, options?: { replace?: boolean }): this;
  register(first: string | RunnableAgent, second?: AgentLike, { replace = false }: { replace?: boolean } = {}): this {
    const name = typeof first === "string" ? first : first.name;
    if (typeof name !== "string" || name === "") throw new OrchestraError("ORCH_BAD_OPTION", "AgentRegistry.register: expected a name, or an agent with one");
    if (this.#agents.has(name) && !replace) throw new OrchestraError("ORCH_BAD_OPTION", `AgentRegistry.register: an agent named "${name}" is registered already; pass { replace: true } to replace it`);
    this.#agents.set(name, toRunnableAgent(name, typeof first === "string" ? second : first, `agent "${name}"`));
    return this;
  }

  /** True when there was one. Runs that are under way keep what they started with until their next step. */
  unregister(name: string): boolean {
    return this.#agents.delete(name);
  }

  get(name: string): RunnableAgent | undefined {
    return this.#agents.get(name);
  }

  has(name: string): boolean {
    return this.#agents.has(name);
  }

  names(): readonly string[] {
    return [...this.#agents.keys()];
  }

  get size(): number {
    return this.#agents.size;
  }
}
