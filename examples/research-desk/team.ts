// The team: every agent of the topology by name. Each is a plain function; replace one by a model-backed agent of the
// same name and the rest stays as it is.

import type { AgentFunction } from "orchestra";

import { createAuthor } from "./agents/author.ts";
import { createCollector } from "./agents/collector.ts";
import { createFactChecker } from "./agents/fact-checker.ts";
import { createIndexer } from "./agents/indexer.ts";
import { createLead } from "./agents/lead.ts";
import { createLicenceAnalyst } from "./agents/licence-analyst.ts";
import { createPlanner } from "./agents/planner.ts";
import { createQuoteAnalyst } from "./agents/quote-analyst.ts";
import { createReviewer } from "./agents/reviewer.ts";
import { createSelector } from "./agents/selector.ts";
import { createStatistician } from "./agents/statistician.ts";
import { createSubjectAnalyst } from "./agents/subject-analyst.ts";
import { createSynthesis } from "./agents/synthesis.ts";
import { createVocabularyAnalyst } from "./agents/vocabulary-analyst.ts";
import { createWidener } from "./agents/widener.ts";
import { createWriter } from "./agents/writer.ts";
import { Shelf } from "./documents/library.ts";

export type AgentName =
  | "Collector"
  | "Indexer"
  | "Planner"
  | "Lead"
  | "SubjectAnalyst"
  | "LicenceAnalyst"
  | "QuoteAnalyst"
  | "VocabularyAnalyst"
  | "Widener"
  | "Selector"
  | "FactChecker"
  | "Statistician"
  | "Synthesis"
  | "Author"
  | "Reviewer"
  | "Writer";

const ANALYSTS: readonly AgentName[] = ["SubjectAnalyst", "LicenceAnalyst", "QuoteAnalyst", "VocabularyAnalyst"];

export interface TeamOptions {
  /**
   * Waited inside each step before its work: time to watch, or to pull the plug. The second analyst waits twice as long,
   * the third three times, so that a kill among them finds some done and some not. Default 0.
   */
  readonly paceMs?: number;
  /** Told of each step before it does anything. */
  readonly onStart?: (sessionId: string, node: string, stepId: string) => void;
}

/** One team with one shelf of indexed folders. */
export function createTeam({ paceMs = 0, onStart }: TeamOptions = {}): Record<AgentName, AgentFunction> {
  const shelf = new Shelf();
  const team: Record<AgentName, AgentFunction> = {
    Collector: createCollector(shelf),
    Indexer: createIndexer(shelf),
    Planner: createPlanner(shelf),
    Lead: createLead(shelf),
    SubjectAnalyst: createSubjectAnalyst(shelf),
    LicenceAnalyst: createLicenceAnalyst(shelf),
    QuoteAnalyst: createQuoteAnalyst(shelf),
    VocabularyAnalyst: createVocabularyAnalyst(shelf),
    Widener: createWidener(),
    Selector: createSelector(),
    FactChecker: createFactChecker(shelf),
    Statistician: createStatistician(shelf),
    Synthesis: createSynthesis(),
    Author: createAuthor(),
    Reviewer: createReviewer(shelf),
    Writer: createWriter(),
  };
  if (paceMs === 0 && onStart === undefined) return team;
  const watched =
    (run: AgentFunction, waitMs: number): AgentFunction =>
    async (input, ctx) => {
      onStart?.(ctx.sessionId, ctx.node, ctx.stepId);
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      return run(input, ctx);
    };
  for (const name of Object.keys(team) as AgentName[]) {
    team[name] = watched(team[name], paceMs * (1 + Math.max(0, ANALYSTS.indexOf(name))));
  }
  return team;
}
