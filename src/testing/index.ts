// `orchestra/testing`: what tests of agents, topologies and adapters need. Loads no test runner.

export { SimClock, type PendingTimer } from "./sim-clock.ts";
export { seededIds } from "./seeded-ids.ts";
export { seededRandom, type Random } from "../base/random.ts";
export type { Clock } from "../base/clock.ts";
export type { Ids } from "../base/ids.ts";

export {
  countingAgent,
  hang,
  scriptedAgent,
  type CountingAgent,
  type RecordedCall,
  type ScriptedAgent,
} from "./scripted-agent.ts";

export { ScriptedModel, type ScriptedAnswer, type ScriptedReply, type ScriptedRequest } from "./scripted-model.ts";

export { simulate, type SimulateOptions } from "./simulation/simulate.ts";
export type { AgentWorld } from "./simulation/scenario.ts";
export { describeFailingSeed, type FailingSeed, type SimulationReport } from "./simulation/campaign.ts";
export type { FailedRuns } from "./simulation/successes.ts";
export { CHECKS, type Check, type Finding } from "./simulation/findings.ts";
export { DEFAULT_FAULT_RATES, FAULT_KINDS, type FaultKind, type FaultRates } from "./simulation/faults.ts";

export { createLocalBus, type LocalBusOptions } from "../bus/local-bus.ts";
export type { DeadLetter } from "../bus/ports.ts";

export type { ContractExpectation, ContractTest, Tick } from "./contract-test.ts";
export { stepQueueContract, type StepQueueWorld } from "./step-queue-contract.ts";
export { resultRegisterContract, type ResultRegisterWorld } from "./result-register-contract.ts";
export { journalContract, type JournalWorld } from "./journal-contract.ts";
export { inboxContract, type InboxWorld } from "./inbox-contract.ts";
export { livenessContract, type LivenessWorld } from "./liveness-contract.ts";
export { sessionStoreContract } from "./session-store-contract.ts";
export { deadLettersContract, type DeadLettersWorld } from "./dead-letters-contract.ts";
export { liveEventsContract, type LiveEventsWorld } from "./live-events-contract.ts";
