// Campaign: many seeds one after another, what they came to in all, and each failing one made small.

import { OrchestraError } from "../../base/errors.ts";
import type { RunOutcome } from "../../runtime/engine-api.ts";
import type { Canary } from "./canaries.ts";
import {
  FAULT_KINDS,
  nameOfFault,
  parseFault,
  ratesOf,
  type Fault,
  type FaultKind,
  type FaultRates,
} from "./faults.ts";
import { CHECKS, type Finding } from "./findings.ts";
import type { Scenario } from "./scenario.ts";
import { shrink } from "./shrink.ts";
import { Successes, type FailedRuns } from "./successes.ts";
import { runSeed, type SeedOptions, type SeedResult } from "./world.ts";

/** Where the scenario of a seed comes from, and what of it can be left out. */
export interface ScenarioSource {
  parts(seed: number): readonly string[];
  scenario(seed: number, without: ReadonlySet<string>): Scenario;
}

export interface CampaignOptions {
  readonly source: ScenarioSource;
  readonly seeds: readonly number[];
  /** Highest rate of each kind, or exactly these faults. */
  readonly faults: FaultRates | readonly string[];
  readonly without?: readonly string[];
  readonly canary?: Canary;
  readonly shrink: boolean;
  /** Stops after as many failing seeds. */
  readonly failingSeedsMax: number;
  /** What a person types to see a seed again. */
  replay(seed: number, faults: readonly string[], without: readonly string[]): string;
  readonly onOutcome?: (
    about: { readonly seed: number; readonly sessionId: string; readonly outside: Map<string, unknown> },
    outcome: RunOutcome,
  ) => string | undefined;
  /** Share of the runs, 0 to 1, that must complete; `some`: at least one. Absent: none need. */
  readonly successShareMin?: number | "some";
  readonly onSeed?: (result: SeedResult) => void;
}

/** One seed in which something did not hold. */
export interface FailingSeed {
  readonly seed: number;
  /** In the order they were seen; the first is the one to look at. */
  readonly findings: readonly Finding[];
  /** The faults that are enough for the first finding, `kind:n`. */
  readonly faults: readonly string[];
  /** What of its sessions and commands is not needed for it. */
  readonly without: readonly string[];
  /** Does exactly this again. */
  readonly replay: string;
}

export interface SimulationReport {
  readonly seeds: number;
  /** Sessions that were run to their end, nested ones included. */
  readonly runs: number;
  readonly events: number;
  readonly commits: number;
  readonly simulatedMs: number;
  /** Processes that died and were followed by another. */
  readonly crashes: number;
  /** Attempts of steps that were begun, and how many of those were begun again: after a crash, or by another host. */
  readonly attempts: number;
  readonly repeatedAttempts: number;
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** Sessions by how they ended. */
  readonly endings: Readonly<Record<string, number>>;
  /** Runs that were asked for and did not complete, by what they ended in. */
  readonly failures: readonly FailedRuns[];
  readonly findings: readonly FailingSeed[];
}

const SHRINK_TRIES_MAX = 60;

export async function runCampaign(options: CampaignOptions): Promise<SimulationReport> {
  const total = {
    seeds: 0,
    runs: 0,
    events: 0,
    commits: 0,
    simulatedMs: 0,
    crashes: 0,
    attempts: 0,
    repeatedAttempts: 0,
    faults: {} as Partial<Record<FaultKind, number>>,
    endings: {} as Record<string, number>,
    findings: [] as FailingSeed[],
  };
  const successes = new Successes();
  let unsuccessful: SeedResult | undefined;
  for (const seed of options.seeds) {
    const result = await run(options, seed);
    total.seeds++;
    total.events += result.events;
    total.commits += result.commits;
    total.simulatedMs += result.simulatedMs;
    total.crashes += Math.max(0, result.processes - result.sites);
    total.attempts += result.attempts;
    total.repeatedAttempts += result.repeatedAttempts;
    for (const { kind } of result.struck) total.faults[kind] = (total.faults[kind] ?? 0) + 1;
    for (const [status, count] of Object.entries(result.endings)) {
      total.endings[status] = (total.endings[status] ?? 0) + count;
      total.runs += count;
    }
    for (const end of result.ends) successes.add(end);
    if (result.ends.some(({ status }) => status !== "completed")) unsuccessful ??= result;
    options.onSeed?.(result);
    if (result.findings.length === 0) continue;
    total.findings.push(await examine(options, result));
    if (total.findings.length >= options.failingSeedsMax) break;
  }
  const { successShareMin: demanded } = options;
  const complaint =
    demanded === undefined ? undefined : successes.complaint(demanded === "some" ? undefined : demanded);
  if (complaint !== undefined && unsuccessful !== undefined)
    total.findings.push(tooFew(options, unsuccessful, complaint));
  return { ...total, failures: successes.failures() };
}

/** Nobody's fault alone: shown by the first seed in which a run did not complete. */
function tooFew(
  options: CampaignOptions,
  { seed, struck, simulatedMs, events }: SeedResult,
  message: string,
): FailingSeed {
  const [faults, without] = [struck.map(nameOfFault), options.without ?? []];
  const finding: Finding = { check: "success", message, atMs: simulatedMs, event: events };
  return { seed, findings: [finding], faults, without, replay: options.replay(seed, faults, without) };
}

async function examine(options: CampaignOptions, result: SeedResult): Promise<FailingSeed> {
  const { seed, findings } = result;
  const check = findings[0]?.check;
  const given = options.without ?? [];
  let faults = result.struck.map(nameOfFault);
  let parts = options.source.parts(seed).filter((part) => !given.includes(part));
  const all = parts;
  if (options.shrink) {
    const fails = async (only: readonly string[], kept: readonly string[]): Promise<boolean> => {
      const without = [...given, ...all.filter((part) => !kept.includes(part))];
      const again = await run({ ...options, faults: only, without }, seed);
      return again.findings.some((finding) => finding.check === check);
    };
    faults = [...(await shrink(faults, (only) => fails(only, parts), SHRINK_TRIES_MAX))];
    parts = [...(await shrink(parts, (kept) => fails(faults, kept), SHRINK_TRIES_MAX))];
    faults = [...(await shrink(faults, (only) => fails(only, parts), SHRINK_TRIES_MAX))];
  }
  const without = [...given, ...all.filter((part) => !parts.includes(part))];
  return { seed, findings, faults, without, replay: options.replay(seed, faults, without) };
}

function run(options: CampaignOptions, seed: number): Promise<SeedResult> {
  const { faults, canary, onOutcome } = options;
  const seedOptions: SeedOptions = {
    seed,
    ...(isListOfFaults(faults) ? { rates: {}, only: parseFaults(faults) } : { rates: ratesOf(seed, faults) }),
    ...(canary !== undefined && { canary }),
    ...(onOutcome !== undefined && {
      onOutcome: (sessionId: string, outcome: RunOutcome, outside: Map<string, unknown>) =>
        onOutcome({ seed, sessionId, outside }, outcome),
    }),
  };
  return runSeed(options.source.scenario(seed, new Set(options.without)), seedOptions);
}

export function isListOfFaults(faults: FaultRates | readonly string[]): faults is readonly string[] {
  return Array.isArray(faults);
}

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
function parseFaults(names: readonly string[]): Fault[] {
  return names.map((name) => {
    const fault = parseFault(name);
    if (fault !== undefined) return fault;
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `faults: "${name}" is no fault; expected <kind>:<n> with one of ${Object.keys(FAULT_KINDS).join(", ")}`,
    );
  });
}

/** A failing seed in words: what did not hold, what it takes, and how to see it again. */
export function describeFailingSeed({ seed, findings, faults, replay }: FailingSeed): string {
  const lines = findings
    .slice(0, 5)
    .map(({ check, message, event }) => `  ${check} (${CHECKS[check]})\n    at event ${event}: ${message}`);
  const more = findings.length > 5 ? [`  … and ${findings.length - 5} more`] : [];
  return [`seed ${seed}`, ...lines, ...more, `  faults: ${faults.join(", ") || "none"}`, `  again: ${replay}`].join(
    "\n",
  );
}
