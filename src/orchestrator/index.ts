// What `orchestra/orchestrator` offers; `orchestra/orchestration` is the same.

export { CONTRACT_VERSION } from "./contract-version.ts";
export { createOrchestrator, Orchestrator } from "./orchestrator.ts";
export type { CancelAnswer, RunHandle } from "./orchestrator.ts";
export type { ListOptions, RunResult, SubscribeOptions } from "./run-reader.ts";
export { createOrchestrationClient } from "./client.ts";
export type { ClientRunStatus, OrchestrationClient } from "./client.ts";
export type { OrchestratorConfig } from "./orchestrator-config.ts";
export type { IterationTask, Team } from "./team.ts";

// Input
export type { MaybePromise } from "../runtime/agent.ts";
export type { StartRunInput } from "./run-input.ts";
export type { ClassRetry, LoopPolicy, RetryPolicyInput } from "./loop-policy.ts";
export type {
  CommandCriterion,
  CommandSpec,
  CriterionInput,
  CustomCriterion,
  SuccessCriteria,
} from "./success-criteria.ts";
export type { Priority, RunProvenance, SeededEntry, Strategy } from "./run-spec.ts";

// Agents that stand in for one another
export { CircuitBreaker } from "./circuit-breaker.ts";
export type { BreakerOptions, BreakerState } from "./circuit-breaker.ts";
export { fallbackChain } from "./fallback-chain.ts";
export type { FallbackChainOptions } from "./fallback-chain.ts";

// What a run tells
export type {
  BudgetName,
  MemoryKey,
  OrchestratorEvent,
  OrchestratorEventPayloads,
  OrchestratorEventType,
  RunEnd,
  Searched,
  TerminalReason,
} from "./run-events.ts";
export type { CheckResult } from "./check-result.ts";
export type { RunArtifacts } from "./run-artifacts.ts";
export type { Commit } from "./git-history.ts";
export type { ClientStatus, RunPhase, RunStatus } from "./run-status.ts";

// How commands are run
export { scriptedBackend } from "./backend.ts";
export type { Backend, BackendOption, CheckCommand, CommandVerdict } from "./backend.ts";

// For the command line and for MCP
export { serveMcpHttp, serveMcpStdio } from "./mcp-server.ts";
export type { McpHttpServerOptions, McpServerHandle, McpServerOptions } from "./mcp-server.ts";
export { orchestratorTools } from "./mcp-tools.ts";
export type { OrchestratorTool, ToolAnswer } from "./mcp-tools.ts";
export { isRunTopology } from "./loop-topology.ts";
export { foldRunEvents, RunProjection } from "./run-events.ts";
export { statusOf } from "./run-status.ts";
