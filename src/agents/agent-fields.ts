// Agent fields: what agents of every kind take alike, out of options that hold more.

import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { AgentDefinition } from "./define-agent.ts";

export type AgentFields = Omit<AgentDefinition<StandardSchemaV1 | undefined, StandardSchemaV1 | undefined>, "run">;

/** Those that are given. */
export function agentFields(options: AgentFields): AgentFields {
  const { name, description, input, output, retry, timeoutMs, concurrency, allowedPeers } = options;
  return {
    name,
    ...(description !== undefined && { description }),
    ...(input !== undefined && { input }),
    ...(output !== undefined && { output }),
    ...(retry !== undefined && { retry }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(concurrency !== undefined && { concurrency }),
    ...(allowedPeers !== undefined && { allowedPeers }),
  };
}
