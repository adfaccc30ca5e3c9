// Problems
//
// What can be wrong with a declared topology, as data. Readers collect problems and go on, so that
// one look shows them all; only `error` refuses to start a run.

import { OrchestraError } from "../base/errors.ts";
import type { Severity, TopologyData, TopologyProblem } from "./types.ts";

/** Codes raised here and while reading a declaration; what only the compiled graph shows has the codes of `findPlanProblems`. */
export const READ_PROBLEM_CODES = [
  "bad_arrow",
  "bad_condition",
  "bad_edge",
  "bad_metadata",
  "bad_name",
  "bad_node",
  "bad_pattern",
  "bad_rule",
  "bad_topology",
  "bad_value",
  "condition_near_function",
  "conflicting_options",
  "duplicate_edge",
  "duplicate_node",
  "edge_from_end",
  "edge_into_start",
  "empty_topology",
  "rule_conflict",
  "rule_without_effect",
  "self_edge",
  "unknown_agent",
  "unknown_edge",
  "unknown_key",
  "unknown_node",
  "unknown_rule",
] as const;

export type ReadProblemCode = (typeof READ_PROBLEM_CODES)[number];

/** A topology as read, and everything that was wrong with it. `data` leaves out what could not be read. */
export interface ReadTopology {
  readonly data: TopologyData;
  readonly problems: readonly TopologyProblem[];
  /** Where each node and edge of `data` was declared, for problems found later. */
  readonly nodePaths: readonly string[];
  readonly edgePaths: readonly string[];
}

export class ProblemList {
  readonly items: TopologyProblem[] = [];

  error(code: ReadProblemCode, path: string, message: string, hint?: string): void {
    this.add(code, "error", path, message, hint);
  }

  warning(code: ReadProblemCode, path: string, message: string, hint?: string): void {
    this.add(code, "warning", path, message, hint);
  }

  add(code: ReadProblemCode, severity: Severity, path: string, message: string, hint?: string): void {
    this.items.push({ code, severity, path, message, ...(hint === undefined ? {} : { hint }) });
  }
}

/** Refusal of a topology. Code `ORCH_TOPOLOGY_INVALID`; `problems` holds everything found, warnings included. */
export class TopologyValidationError extends OrchestraError {
  override readonly name: string = "TopologyValidationError";
  readonly problems: readonly TopologyProblem[];

  constructor(problems: readonly TopologyProblem[]) {
    const errors = problems.filter((problem) => problem.severity === "error");
    const lines = errors.map(
      ({ path, message, hint }) =>
        `  ${path === "" ? "topology" : path}: ${message}${hint === undefined ? "" : ` (${hint})`}`,
    );
    const count = errors.length === 1 ? "1 error" : `${errors.length} errors`;
    super("ORCH_TOPOLOGY_INVALID", [`the topology has ${count}`, ...lines].join("\n"), {
      details: { problems: problems.slice(0, 100) },
    });
    this.problems = problems;
  }
}

/** @throws {TopologyValidationError} when one of the problems is an error; warnings pass. */
export function assertNoErrors(problems: readonly TopologyProblem[]): void {
  if (problems.some((problem) => problem.severity === "error")) throw new TopologyValidationError(problems);
}
