// Who mends the project: a planner says what to look at, a fixer edits, a reviewer looks at the edit before the tests do.

import type { AgentFunction } from "orchestra";
import type { Team, IterationTask } from "orchestra/orchestrator";
import { modelFixer } from "./agents/model-fixer.ts";
import { scriptedFixer } from "./agents/scripted-fixer.ts";
import type { ModelOptions } from "../research-desk/model.ts";

/** What the fixer gets. */
export interface Plan {
  readonly cwd: string;
  readonly goal: string;
  /** Names of tests that failed; empty before the first check. */
  readonly failing: readonly string[];
  /** What the test command said. */
  readonly said: string;
}

export interface Edit {
  /** Below `cwd`. */
  readonly files: readonly string[];
  readonly summary: string;
}

export async function team(model: ModelOptions | undefined): Promise<Team> {
  return {
    topology: { nodes: ["Planner", "Fixer", "Reviewer"], edges: ["Planner -> Fixer -> Reviewer"] },
    agents: {
      Planner: planner,
      Fixer: model === undefined ? scriptedFixer : await modelFixer(model),
      Reviewer: reviewer,
    },
  };
}

const planner: AgentFunction = ({ cwd, description, feedback }: IterationTask): Plan => {
  const said = feedback.map(({ output }) => output).join("\n");
  const failing = [...said.matchAll(/^(?:not ok \d+ - |✖ )(.+?)(?: \([\d.]+ms\))?$/gm)].flatMap(
    ([, name]) => name ?? [],
  );
  return { cwd, goal: description, failing: [...new Set(failing)], said };
};

const reviewer: AgentFunction = ({ files, summary }: Edit): string =>
  files.length === 0 ? `nothing changed: ${summary}` : `${files.join(", ")}: ${summary}`;
