// Own agents: what a topology carries itself, where its nodes are given as agents rather than as names.

import type { AgentLike } from "./agent-source.ts";
import { isRecord, isRecordLike } from "./option-schema.ts";

/** Agents found among the `nodes` (or `agents`) of a topology input: objects with `run`, and functions by name. */
export function ownAgents(topology: unknown): Record<string, AgentLike> {
  const found: Record<string, AgentLike> = {};
  if (Array.isArray(topology)) collect(topology, found);
  else if (isRecord(topology)) for (const key of ["nodes", "agents"]) collect(topology[key], found);
  return found;
}

function collect(nodes: unknown, found: Record<string, AgentLike>): void {
  if (Array.isArray(nodes)) {
    for (const node of nodes)
      if (isRecordLike(node) && typeof node["run"] === "function" && typeof node["name"] === "string")
        found[node["name"]] = node as AgentLike;
  } else if (isRecord(nodes)) {
    for (const [name, node] of Object.entries(nodes)) {
      if (typeof node === "function" || (isRecordLike(node) && typeof node["run"] === "function"))
        found[name] = node as AgentLike;
    }
  }
}
