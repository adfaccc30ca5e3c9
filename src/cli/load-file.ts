// Loading: what a file named on the command line holds. TypeScript and JavaScript run through an on-demand loader.

import { readFile } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import * as orchestra from "../index.ts";
import {
  isOrchestraError,
  type AgentDirectory,
  type AgentsOption,
  type Condition,
  type InstanceOptions,
  type TopologyInput,
} from "../index.ts";
import type { OrchestratorConfig } from "../orchestrator/index.ts";
import { UsageError } from "./exit-code.ts";
import { loadProblem } from "./load-problem.ts";

/** What a file may hold, whichever way it says so. */
export interface Loaded {
  readonly topology?: TopologyInput;
  readonly agents?: AgentsOption;
  readonly conditions?: Readonly<Record<string, Condition>>;
  /** Further options of an instance. */
  readonly options?: Partial<InstanceOptions>;
  readonly task?: string | Record<string, unknown>;
  /** What an orchestrator of these agents is given besides: criteria, commands, an acceptance agent, memory. */
  readonly orchestrator?: Partial<OrchestratorConfig>;
}

const DATA = new Set([".yaml", ".yml", ".json"]);
const CODE = new Set([".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"]);
const PARTS = ["topology", "agents", "conditions", "options", "task", "orchestrator"] as const;

/** @throws {UsageError} when it cannot be read, does not run, or holds none of the parts. */
export async function loadFile(path: string, cwd: string): Promise<Loaded> {
  const full = resolve(cwd, path);
  const kind = extname(full).toLowerCase();
  if (DATA.has(kind)) return fromData(await parseData(full, kind), path);
  if (CODE.has(kind)) return fromModule(await runModule(full, path, cwd), path);
  throw new UsageError(`${path}: expected a file ending in ${[...CODE, ...DATA].join(", ")}`);
}

/** Agents (and conditions) for a topology that came as data. */
export async function loadAgents(path: string, cwd: string): Promise<Pick<Loaded, "agents" | "conditions">> {
  const full = resolve(cwd, path);
  if (!CODE.has(extname(full).toLowerCase()))
    throw new UsageError(`--agents ${path}: expected a TypeScript or JavaScript file`);
  const module = await runModule(full, path, cwd);
  const parts = partsOf(module);
  if (parts !== undefined && (parts.agents !== undefined || parts.conditions !== undefined)) {
    return {
      ...(parts.agents !== undefined && { agents: parts.agents }),
      ...(parts.conditions !== undefined && { conditions: parts.conditions }),
    };
  }
  const chosen = isObject(module["default"]) ? module["default"] : withoutDefault(module);
  // A registry as it is; else every export is an agent under its name.
  return { agents: chosen as AgentsOption };
}

export function agentNames(agents: AgentsOption): readonly string[] {
  return isDirectory(agents) ? agents.names() : Object.keys(agents);
}

function isDirectory(agents: AgentsOption): agents is AgentDirectory {
  return typeof agents["get"] === "function" && typeof agents["names"] === "function";
}

/** Names separated by commas, or a file of code whose agents are meant. */
export async function readAgentNames(given: string, cwd: string): Promise<readonly string[]> {
  if (!CODE.has(extname(given).toLowerCase())) return given.split(",").map((name) => name.trim());
  const { agents } = await loadAgents(given, cwd);
  if (agents === undefined) throw new UsageError(`--agents ${given}: it holds no agents`);
  return agentNames(agents);
}

async function parseData(full: string, kind: string): Promise<unknown> {
  const text = await readText(full);
  try {
    if (kind === ".json") return JSON.parse(text);
    const { parse } = await import("yaml");
    return parse(text);
  } catch (error) {
    throw new UsageError(`${full}: ${messageOf(error)}`, { cause: error });
  }
}

async function readText(full: string): Promise<string> {
  try {
    return await readFile(full, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${full}: ${messageOf(error)}`, { cause: error });
  }
}

async function runModule(full: string, path: string, cwd: string): Promise<Record<string, unknown>> {
  await readText(full);
  const { createJiti } = await import("jiti");
  const [memory, orchestrator] = await Promise.all([import("../memory/index.ts"), import("../orchestrator/index.ts")]);
  // The file's "orchestra" is this very one, whatever is installed where the file lies.
  const jiti = createJiti(pathToFileURL(full).href, {
    virtualModules: { orchestra, "orchestra/memory": memory, "orchestra/orchestrator": orchestrator },
    fsCache: false,
    moduleCache: false,
    interopDefault: false,
  });
  try {
    return { ...(await jiti.import<Record<string, unknown>>(full)) };
  } catch (error) {
    if (isOrchestraError(error)) throw error;
    throw new UsageError(loadProblem(error, { full, path, cwd }), { cause: error });
  }
}

function fromModule(module: Record<string, unknown>, path: string): Loaded {
  const named = partsOf(module);
  if (named !== undefined) return named;
  const chosen = module["default"];
  if (chosen === undefined)
    throw new UsageError(
      `${path}: expected a default export, or exports named ${PARTS.join(", ")}; found ${Object.keys(module).join(", ") || "none"}`,
    );
  return isObject(chosen)
    ? (partsOf(chosen) ?? { topology: chosen as TopologyInput })
    : { topology: chosen as TopologyInput };
}

function fromData(data: unknown, path: string): Loaded {
  if (!isObject(data)) throw new UsageError(`${path}: expected an object with nodes and edges, or with "topology"`);
  const parts = "topology" in data ? partsOf(data) : undefined;
  return parts ?? { topology: data as TopologyInput };
}

// `agents` alone does not make it parts: that is also what a topology may call its nodes.
function partsOf(source: Readonly<Record<string, unknown>>): Loaded | undefined {
  if (!("topology" in source) && ("edges" in source || "flows" in source || !PARTS.some((part) => part in source)))
    return undefined;
  return Object.fromEntries(
    PARTS.flatMap((part) => (source[part] === undefined ? [] : [[part, source[part]]])),
  ) as Loaded;
}

function withoutDefault({ default: _default, ...named }: Record<string, unknown>): Record<string, unknown> {
  return named;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
