// The public names of `orchestra`, written out. Importing it does nothing else: databases, exporters and terminals load
// when they are used.

// Running
export { Orchestra } from "./runtime/orchestra.ts";
export { OrchestraInstance } from "./runtime/orchestra-instance.ts";
export { OrchestraHost } from "./runtime/orchestra-host.ts";
export type { HostOptions } from "./runtime/orchestra-host.ts";
export type {
  CheckpointInfo,
  ExecuteOptions,
  HistoryDiff,
  RecoveredSession,
  ResumeOptions,
  SessionInfo,
  Step,
} from "./runtime/instance-types.ts";
export type { Migration } from "./runtime/migrations.ts";
export type { UpgradeVerdict } from "./runtime/upgrade-check.ts";
export type { OrchestraHandle } from "./runtime/handle.ts";
export type {
  AgentsOption,
  CommunicationConfig,
  Condition,
  ConditionInput,
  ErrorHandlingConfig,
  InstanceOptions,
  RunObserver,
  RunOptions,
  SharedBus,
  SharedOptions,
  Task,
  TaskOptions,
} from "./runtime/run-options.ts";
export { DEFAULT_EXECUTION_CONFIG } from "./runtime/execution-config.ts";
export type { Budget, ExecutionConfig } from "./runtime/execution-config.ts";
export { DEFAULT_RETRY } from "./runtime/retry-option.ts";
export type { RetryOption } from "./runtime/retry-option.ts";
export type { ConvergencePolicyOption } from "./runtime/convergence-option.ts";
export { NORMAL, QUIET, StatusConfig, VERBOSE, eventLine } from "./runtime/status.ts";
export type { LineWriter, Verbosity } from "./runtime/status.ts";

// Results and events
export { OrchestraResult } from "./runtime/result.ts";
export type {
  BranchResult,
  BranchResultStatus,
  ResultData,
  ResultMetadata,
  ResultMetrics,
  ResultQuestion,
  ResultStatus,
  ResultUsage,
  TraceStep,
} from "./runtime/result.ts";
export type { AttemptCounts, HostStatus, RunEvent } from "./runtime/engine-api.ts";
export type { RunStatus, TerminalReason } from "./actors/effects.ts";
export type { Why } from "./runtime/why.ts";

// Topologies
export { Topology } from "./runtime/topology.ts";
export type { CheckFinding, CheckOptions, CheckReport, FindingCode, ScheduledEnd } from "./actors/check/report.ts";
export { PatternConfig } from "./topology/patterns.ts";
export { Edge, Node } from "./topology/edge.ts";
export type { EdgeOptions, EdgeValue, NodeOptions, NodeValue } from "./topology/edge.ts";
export { readTopology } from "./topology/read.ts";
export type { EdgeInput, NodeInput, TopologyDescription, TopologyInput } from "./topology/read.ts";
export { validateTopology } from "./topology/validate.ts";
export type { ValidateOptions } from "./topology/validate.ts";
export { TopologyValidationError } from "./topology/problems.ts";
export type { TopologyAnalysis } from "./topology/analysis.ts";
export type {
  ConvergencePolicy,
  EdgeData,
  EdgePattern,
  EdgeType,
  NodeData,
  NodeKind,
  TopologyData,
  TopologyProblem,
} from "./topology/types.ts";

// Agents
export { next } from "./runtime/agent.ts";
export type {
  AgentContext,
  AgentFunction,
  ArrivalValue,
  BudgetLeft,
  BudgetShare,
  Command,
  DecideShare,
  RetryPolicies,
  RetryPolicy,
  RunnableAgent,
  UsageReport,
} from "./runtime/agent.ts";
export type { AgentDirectory, AgentLike, AgentObject, NamedAgent, NestedRun } from "./runtime/agent-source.ts";
export type { NestedRunOptions } from "./runtime/nested-run.ts";
export { defineAgent } from "./agents/define-agent.ts";
export type { AgentDefinition, DefinedAgent } from "./agents/define-agent.ts";
export { AgentRegistry } from "./agents/agent-registry.ts";
export { AgentPool } from "./agents/agent-pool.ts";
export type { AgentPoolOptions, AgentPoolStatistics, Lease, PooledAgent } from "./agents/agent-pool.ts";

// State
export { StateManager } from "./runtime/state-manager.ts";
export type { StateManagerOptions, StoreLease } from "./runtime/state-manager.ts";
export { LevelConversations } from "./state/level-conversations.ts";
export { FileStorageBackend, LevelStorage } from "./state/level-store.ts";
export type { LevelStorageOptions } from "./state/level-store.ts";
export { memoryStorage } from "./state/memory-store.ts";
export type { RetentionPolicy } from "./state/retention.ts";
export type { Durability, SessionStore, StoreStats, VerifyReport } from "./state/ports.ts";
export { verifyFolder } from "./state/folder-verify.ts";
export type { FolderDamage } from "./state/file-damage.ts";
export type { FolderReport } from "./state/folder-verify.ts";
export { repairFolder } from "./runtime/folder-repair.ts";
export type { RepairedSession, RepairReport } from "./runtime/folder-repair.ts";

// People
export { CommunicationManager } from "./runtime/communication.ts";
export type { CommunicationOptions, PendingQuestion } from "./runtime/communication.ts";
export { callbackChannel, queueChannel } from "./runtime/channel.ts";
export { terminalChannel } from "./runtime/terminal-channel.ts";
export type { Channel, QueueChannel, UserQuestion } from "./runtime/channel.ts";
export type {
  ApprovalAnswer,
  ApprovalPrompt,
  Choice,
  ChoicePrompt,
  ConfirmPrompt,
  Prompt,
  RecoveryAnswer,
  RecoveryPrompt,
  TextPrompt,
} from "./runtime/prompts.ts";

// Watching
export { MetricsCollector } from "./telemetry/metrics-collector.ts";
export type { Exporter, MetricName, MetricsCollectorOptions } from "./telemetry/metrics-collector.ts";

// Ground
export { ERROR_CODES, OrchestraError, isOrchestraError } from "./base/errors.ts";
export type { ErrorData, OrchestraErrorCode } from "./base/errors.ts";
export { createLocalBus } from "./bus/local-bus.ts";
export type { Bus, DeadLetter, DeadLetters, HostInfo } from "./bus/ports.ts";
export type { CallReport, ModelCalled, ToolCalled } from "./base/call-report.ts";
export { systemClock } from "./base/clock.ts";
export type { Clock } from "./base/clock.ts";
export { seededRandom, systemRandom } from "./base/random.ts";
export type { Random } from "./base/random.ts";
export { silentLogger } from "./base/logger.ts";
export type { Logger } from "./base/logger.ts";
