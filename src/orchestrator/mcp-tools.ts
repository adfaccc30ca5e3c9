// MCP tools: an orchestrator as a set of named calls over JSON. Whatever carries them (mcp-server.ts) adds nothing to it.

import { errorToData } from "../base/error-data.ts";
import { OrchestraError } from "../base/errors.ts";
import type { JsonSchema } from "../agents/tools/tool.ts";
import { toJsonValue } from "../runtime/result-json.ts";
import type { Memory, MemoryScope } from "../memory/ports.ts";
import { matchesKey } from "./key-pattern.ts";
import type { Orchestrator } from "./orchestrator.ts";
import type { StartRunInput } from "./run-input.ts";
import { PRIORITIES, STRATEGIES } from "./run-spec.ts";

export interface OrchestratorTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonSchema;
  /** Changes nothing. */
  readonly readOnly: boolean;
  /** Never rejects: what went wrong is `{ success: false, error }`. */
  call(input: Readonly<Record<string, unknown>>): Promise<ToolAnswer>;
  /** The answer to input that does not fit `inputSchema`. */
  refuse(input: Readonly<Record<string, unknown>>, why: string): ToolAnswer;
}

/** What every tool answers, beside what it was given and what it found. */
export interface ToolAnswer {
  readonly success: boolean;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly error?: { readonly code: string; readonly message: string };
  readonly [more: string]: unknown;
}

type Answer = (input: any) => Promise<Readonly<Record<string, unknown>>>;

const text = (description: string): JsonSchema => ({ type: "string", description });
const whole = (description: string): JsonSchema => ({ type: "integer", minimum: 1, description });
const texts = (description: string): JsonSchema => ({ type: "array", items: { type: "string" }, description });
const RUN = { runId: text("as task_orchestrate gave it") };
const command: JsonSchema = {
  anyOf: [{ type: "boolean" }, { type: "string" }, { type: "array", items: { type: "string" }, minItems: 1 }],
  description: "true: the project's own command; else a program and its arguments. No shell reads it.",
};

/** @param nowMs for the time stamps of answers */
export function orchestratorTools(orchestrator: Orchestrator, nowMs: () => number): readonly OrchestratorTool[] {
  const tool = (
    name: string,
    description: string,
    properties: Readonly<Record<string, JsonSchema>>,
    required: readonly string[],
    answer: Answer,
    readOnly = false,
  ): OrchestratorTool => {
    const timestamp = (): string => new Date(nowMs()).toISOString();
    const failed = (input: Readonly<Record<string, unknown>>, error: unknown): ToolAnswer => {
      const { code, message } = errorToData(error);
      return { ...input, success: false, error: { code, message }, timestamp: timestamp() };
    };
    return {
      name,
      description,
      readOnly,
      inputSchema: { type: "object", properties, required: [...required], additionalProperties: false },
      refuse: (input, why) => failed(input, new OrchestraError("ORCH_BAD_OPTION", `${name}: ${why}`)),
      async call(input) {
        try {
          const found = toJsonValue(await answer(input)) as Readonly<Record<string, unknown>>;
          return { success: true, ...input, ...found, timestamp: timestamp() };
        } catch (error) {
          return failed(input, error);
        }
      },
    };
  };
  const { memory } = orchestrator;
  return [
    tool(
      "task_orchestrate",
      "Begins a run of the team and returns at once; it goes on until its success criteria hold or a budget is used up.",
      {
        task: text("what is to be done"),
        strategy: { enum: [...STRATEGIES] },
        priority: { enum: [...PRIORITIES] },
        cwd: text("folder in which commands run"),
        maxIterations: whole("default 5"),
        maxDurationMs: whole("of the whole run"),
        tokenBudget: whole("of the whole run"),
        successCriteria: {
          type: "object",
          properties: {
            tests: command,
            lint: command,
            typecheck: command,
            custom: texts("criteria of the orchestrator"),
          },
          additionalProperties: false,
        },
        acceptanceCriteria: texts("judged by the orchestrator's acceptance agent"),
        allowedPaths: texts("below cwd; nothing else may change"),
        forbiddenPaths: texts("below cwd; these may not change"),
        provenance: { type: "object", description: "project, cardId, agent and the like" },
        recall: { type: "integer", minimum: 0, description: "entries of memory to hand to the team" },
        runId: text("names the run; default: a new id"),
      },
      ["task"],
      async (input) => ({ runId: orchestrator.startRun(inputOf(input)).runId }),
    ),
    tool(
      "run_status",
      "Where a run stands.",
      RUN,
      ["runId"],
      async ({ runId }) => ({ status: await orchestrator.getRunStatus(runId) }),
      true,
    ),
    tool(
      "run_cancel",
      "Ends a run for good.",
      { ...RUN, reason: text("why") },
      ["runId"],
      async ({ runId, reason }) => {
        const { success, error } = await orchestrator.cancelRun(runId, reason);
        if (!success) throw new OrchestraError("ORCH_SESSION_STATE", error ?? "not cancelled");
        return {};
      },
    ),
    tool(
      "run_events",
      "What a run has told so far, after the event of a number.",
      { ...RUN, after: { type: "integer", minimum: 0 } },
      ["runId"],
      async ({ runId, after = 0 }) => ({
        events: (await orchestrator.getRunEvents(runId)).filter(({ seq }) => seq > after),
      }),
      true,
    ),
    tool(
      "run_artifacts",
      "Commits, logs of checks and memory writes of a run.",
      RUN,
      ["runId"],
      async ({ runId }) => ({ artifacts: await orchestrator.getRunArtifacts(runId) }),
      true,
    ),
    tool(
      "swarm_status",
      "All runs, oldest first, with where they stand.",
      { limit: whole("default 100") },
      [],
      async ({ limit = 100 }) => {
        const ids = await orchestrator.listRuns({ limit });
        const runs = await Promise.all(
          ids.map(async (runId) => ({ runId, ...(await orchestrator.getRunStatus(runId)) })),
        );
        return { runs };
      },
      true,
    ),
    tool("agent_list", "The agents of the team.", {}, [], async () => ({ agents: orchestrator.agentNames() }), true),
    ...(memory === undefined ? [] : memoryTools(memory, tool)),
  ];
}

type MakeTool = (
  name: string,
  description: string,
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[],
  answer: Answer,
  readOnly?: boolean,
) => OrchestratorTool;

function memoryTools(memory: Memory, tool: MakeTool): readonly OrchestratorTool[] {
  const scope: MemoryScope = "global";
  const namespace = text("default: all");
  return [
    tool(
      "memory_store",
      "Keeps a value under a key.",
      {
        key: text("replaces what is there"),
        value: {},
        namespace: text('default: "default"'),
        ttl: whole("seconds; default: for ever"),
      },
      ["key", "value"],
      async ({ key, value, namespace: into, ttl }) => {
        const entry = {
          key,
          value,
          ...(into !== undefined && { namespace: into }),
          ...(ttl !== undefined && { ttlMs: ttl * 1_000 }),
        };
        const [kept] = await memory.add([entry], { scope });
        return { id: kept?.id };
      },
    ),
    tool(
      "memory_retrieve",
      "The value under a key.",
      { key: text("as it was stored"), namespace },
      ["key"],
      async ({ key, namespace: from }) => {
        for await (const entry of memory.list(scope, from === undefined ? {} : { namespace: from }))
          if (entry.key === key) return { found: true, value: entry.value, namespace: entry.namespace };
        return { found: false };
      },
      true,
    ),
    tool(
      "memory_search",
      "What fits a text best; a pattern with * is matched against keys instead.",
      { pattern: text("a text, or a key with *"), namespace, limit: whole("default 10") },
      ["pattern"],
      async ({ pattern, namespace: from, limit = 10 }: { pattern: string; namespace?: string; limit?: number }) => {
        const within = from === undefined ? {} : { namespace: from };
        if (!pattern.includes("*"))
          return { results: await memory.searchMemory(pattern, scope, { topK: limit, ...within }) };
        const results = [];
        for await (const entry of memory.list(scope, within)) {
          if (matchesKey(pattern, entry.key)) results.push(entry);
          if (results.length === limit) break;
        }
        return { results };
      },
      true,
    ),
  ];
}

interface OrchestrateInput extends Pick<
  StartRunInput,
  | "strategy"
  | "priority"
  | "cwd"
  | "acceptanceCriteria"
  | "allowedPaths"
  | "forbiddenPaths"
  | "provenance"
  | "recall"
  | "runId"
> {
  readonly task: string;
  readonly maxIterations?: number;
  readonly maxDurationMs?: number;
  readonly tokenBudget?: number;
  readonly successCriteria?: NonNullable<StartRunInput["loopPolicy"]>["successCriteria"];
}

function inputOf({
  task,
  maxIterations,
  maxDurationMs,
  tokenBudget,
  successCriteria,
  ...others
}: OrchestrateInput): StartRunInput {
  return {
    description: task,
    ...others,
    loopPolicy: {
      ...(maxIterations !== undefined && { maxIterations }),
      ...(maxDurationMs !== undefined && { maxDurationMs }),
      ...(tokenBudget !== undefined && { tokenBudget }),
      ...(successCriteria !== undefined && { successCriteria }),
    },
  };
}
