// Agent source
//
// Whatever a user may hand over as an agent comes down to the port `RunnableAgent`: a function, an object with `run`
// (defineAgent, a pool), or a topology, which becomes a nested run. Told apart by shape, so that the runtime knows no
// class of `agents/`.

import { OrchestraError } from "../base/errors.ts";
import type { TopologyDescription, TopologyInput } from "../topology/read.ts";
import { isTopologySource, type TopologySource } from "../topology/source.ts";
import type { TopologyData } from "../topology/types.ts";
import type { AgentFunction, AgentSource, RunnableAgent } from "./agent.ts";
import { didYouMean } from "./did-you-mean.ts";
import { attempt, isRecordLike } from "./option-schema.ts";

/** A topology given as an agent, with the functions behind it; without `agents` it uses those of the run around it. */
export interface NestedRun {
  readonly topology: TopologyInput;
  readonly agents?: Readonly<Record<string, AgentLike>> | AgentDirectory;
  readonly conditions?: Readonly<Record<string, (input: any) => boolean>>;
  readonly maxSteps?: number | false;
}

/** Anything with `run`. Its `name` may be left out: the key it is registered under counts. */
export type AgentObject = Omit<RunnableAgent, "name"> & { readonly name?: string };

/** Something else that can be run as an agent, such as a tool. Asked before its other properties are looked at. */
export interface AgentForm {
  toAgent(name: string): RunnableAgent;
}

/** What may stand for an agent. A topology is a nested run. */
export type AgentLike =
  | AgentFunction
  | AgentObject
  | AgentForm
  | NestedRun
  | TopologyDescription
  | TopologyData
  | TopologySource;

/** @throws {OrchestraError} `ORCH_BAD_OPTION` when `value` is none of the forms; `path` says where it stood. */
export function toRunnableAgent(name: string, value: unknown, path = `agents.${name}`): RunnableAgent {
  if (isAgentForm(value)) return value.toAgent(name);
  // Registered under another name than its own: the key counts, the object stays as it is.
  if (isRunnable(value))
    return value.name === name ? (value as RunnableAgent) : derived(value as RunnableAgent, { name });
  if (typeof value === "function") return { name, run: value as AgentFunction };
  if (isRecordLike(value)) {
    if ("topology" in value) return nestedAgent(name, value as { topology: TopologyInput } & typeof value);
    if (isTopologySource(value) || "edges" in value || "flows" in value || "nodes" in value)
      return nestedAgent(name, { topology: value as TopologyInput });
  }
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `${path}: expected a function, an agent with run(), a pool or a topology, got ${value === null ? "null" : typeof value}`,
  );
}

/** Agents by name, as they were given: what `AgentRegistry` is. */
export interface AgentDirectory {
  get(name: string): AgentLike | undefined;
  names(): readonly string[];
}

/** An agent that knows its name. */
export type NamedAgent = (AgentObject | AgentForm) & { readonly name: string };

/** An `AgentSource` over a record (read at once) or a directory (asked each time, so that it may grow). */
export function toAgentSource(agents: unknown, path = "agents"): AgentSource {
  if (isAgentDirectory(agents)) {
    const get = (name: string): AgentLike | undefined => attempt(`agent "${name}"`, () => agents.get(name));
    return mapped({ names: () => agents.names(), get }, (agent, name) =>
      toRunnableAgent(name, agent, `agent "${name}"`),
    );
  }
  const byName = new Map<string, RunnableAgent>();
  const given = (agents ?? {}) as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given)) {
    const at = `${path}.${name}`;
    byName.set(
      name,
      toRunnableAgent(
        name,
        attempt(at, () => given[name]),
        at,
      ),
    );
  }
  return { get: (name) => byName.get(name), names: () => [...byName.keys()] };
}

/** Looks in `first`, then in `second`. */
export function eitherSource(first: AgentSource, second: AgentSource): AgentSource {
  return {
    get: (name) => first.get(name) ?? second.get(name),
    names: () => [...new Set([...first.names(), ...second.names()])],
  };
}

export function isAgentDirectory(value: unknown): value is AgentDirectory {
  return isRecordLike(value) && typeof value["get"] === "function" && typeof value["names"] === "function";
}

/** @throws {OrchestraError} `ORCH_AGENT_UNKNOWN` naming every node whose agent is missing, here and among those served elsewhere. */
export function assertAgentsKnown(
  topology: TopologyData,
  agents: AgentSource,
  elsewhere: ReadonlySet<string> = new Set(),
): void {
  const missing = missingAgents(topology, agents, elsewhere);
  if (missing !== undefined)
    throw new OrchestraError("ORCH_AGENT_UNKNOWN", missing.message, { details: missing.details });
}

/** Undefined when none is missing. */
export function missingAgents(
  topology: TopologyData,
  agents: AgentSource,
  elsewhere: ReadonlySet<string> = new Set(),
):
  | { readonly message: string; readonly details: { readonly nodes: string[]; readonly known: readonly string[] } }
  | undefined {
  const missing = topology.nodes
    .filter((node) => node.kind === "agent" || node.kind === "tool" || node.kind === "system")
    .filter(({ uses, name }) => agents.get(uses ?? name) === undefined && !elsewhere.has(uses ?? name));
  if (missing.length === 0) return undefined;
  const names = [...new Set([...agents.names(), ...elsewhere])];
  const lines = missing.map((node) => {
    const wanted = node.uses ?? node.name;
    return `no ${node.kind} named "${wanted}"${wanted === node.name ? "" : ` (for node "${node.name}")`}${didYouMean(wanted, names)}`;
  });
  const known = names.length === 0 ? "no agents were given" : `known agents: ${names.join(", ")}`;
  return {
    message: `${lines.join("; ")} (${known})`,
    details: { nodes: missing.map((node) => node.name), known: names },
  };
}

/** The same agents, whose error handlers see only the code, message and node of a failure: `preserveErrorContext: false`. */
export function withoutErrorContext(agents: AgentSource): AgentSource {
  return mapped(agents, (agent) =>
    derived(agent, {
      run: (input, ctx) => {
        if (ctx.error === undefined) return agent.run(input, ctx);
        const { code, message, node } = ctx.error;
        return agent.run(input, derived(ctx, { error: { code, message, ...(node !== undefined && { node }) } }));
      },
    }),
  );
}

// The same object for the same agent, each time it is asked for: bounds such as `concurrency` go by it.
function mapped<T extends object>(
  source: { get(name: string): T | undefined; names(): readonly string[] },
  map: (agent: T, name: string) => RunnableAgent,
): AgentSource {
  const known = new Map<string, { readonly from: T; readonly to: RunnableAgent }>();
  return {
    names: () => source.names(),
    get(name) {
      const agent = source.get(name);
      if (agent === undefined) return undefined;
      let entry = known.get(name);
      if (entry?.from !== agent) known.set(name, (entry = { from: agent, to: map(agent, name) }));
      return entry.to;
    },
  };
}

function isAgentForm(value: unknown): value is AgentForm {
  return isRecordLike(value) && typeof value["toAgent"] === "function";
}

function isRunnable(value: unknown): value is AgentObject {
  return isRecordLike(value) && typeof value["run"] === "function";
}

// A view of `base` in which `fields` differ. Getters and methods of `base` keep working on it, private fields too,
// which is why this is no copy and no prototype; the proxy's own target is empty since `base` may be frozen.
function derived<T extends object>(base: T, fields: Partial<T>): T {
  return new Proxy({} as T, {
    get: (_target, key) => (Object.hasOwn(fields, key) ? fields[key as keyof T] : bound(base, key)),
    has: (_target, key) => Object.hasOwn(fields, key) || key in base,
  });
}

function bound(target: object, key: PropertyKey): unknown {
  const value: unknown = Reflect.get(target, key);
  return typeof value === "function" ? value.bind(target) : value;
}

function nestedAgent(name: string, { topology, agents, conditions, maxSteps }: NestedRun): RunnableAgent {
  return {
    name,
    // A nested run has bounds of its own; the step that holds it waits as long as it lives.
    timeoutMs: false,
    run: async (input, ctx) => {
      const result = await ctx.run({
        task: input,
        topology,
        ...(agents !== undefined && { agents }),
        ...(conditions !== undefined && { conditions }),
        ...(maxSteps !== undefined && { maxSteps }),
      });
      return result.orThrow().finalResponse;
    },
  };
}
