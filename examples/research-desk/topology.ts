// Who may talk to whom.
//
//   Collector → Indexer → Planner → Lead ⇄ four analysts, side by side
//   Lead → Widener → Lead          while evidence is short, at most twice
//   Lead → Selector → FactChecker ┐
//                   → Statistician ┴→ Synthesis → Author → Reviewer → Writer
//   Reviewer → Author              while it has notes, at most twice
//   Writer → Editor                where there is a model

import { Edge, Node } from "orchestra";

export const WIDENINGS_MAX = 2;
export const REVISIONS_MAX = 2;
const ANALYSTS = ["SubjectAnalyst", "LicenceAnalyst", "QuoteAnalyst", "VocabularyAnalyst"];

export const researchDesk = {
  nodes: [
    "Collector",
    "Indexer",
    "Planner",
    Node("Lead", { parallelCalls: true }),
    ...ANALYSTS,
    "Widener",
    "Selector",
    "FactChecker",
    "Statistician",
    "Synthesis",
    "Author",
    "Reviewer",
    "Writer",
  ],
  edges: [
    "Collector -> Indexer -> Planner -> Lead",
    ...ANALYSTS.map((analyst) => `Lead <-> ${analyst}`),
    // `needs_more` and `revise` are labels: they hold when the output has them as its `route`.
    Edge("Lead", "Widener", { maxVisits: WIDENINGS_MAX, metadata: { condition: "needs_more" } }),
    "Widener -> Lead",
    Edge("Lead", "Selector", { else: true }),
    "Selector -> FactChecker",
    "Selector -> Statistician",
    "FactChecker -> Synthesis",
    "Statistician -> Synthesis",
    "Synthesis -> Author -> Reviewer",
    Edge("Reviewer", "Author", { maxVisits: REVISIONS_MAX, metadata: { condition: "revise" } }),
    Edge("Reviewer", "Writer", { else: true }),
  ],
};

/** The same with a model behind the last of them. */
export const researchDeskWithEditor = {
  nodes: [...researchDesk.nodes, "Editor"],
  edges: [...researchDesk.edges, "Writer -> Editor"],
};
