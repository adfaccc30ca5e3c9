import { describe, expect, it } from "vitest";

import type { RunEvent } from "orchestra";

import { evidenceText, judgeRecovery } from "../../../examples/research-desk/evidence-of-recovery.ts";
import { timingsOf } from "../../../examples/research-desk/timings.ts";

const base = { seq: 0, at: 0, sessionId: "s", runId: "r", branchId: "b", attempt: 1 };
const started = (stepId: string): RunEvent => ({ ...base, type: "step.started", stepId, node: stepId, input: null });
const succeeded = (stepId: string): RunEvent => ({
  ...base,
  type: "step.succeeded",
  stepId,
  node: stepId,
  outcome: null,
  tookMs: 1,
  usage: null,
});
const completed: RunEvent = { ...base, type: "run.completed", value: null };
const start = (pid: number, stepId: string, sessionId = "s") => ({ pid, sessionId, node: stepId, stepId });

describe("evidence of recovery", () => {
  const log = [started("A"), succeeded("A"), started("B"), succeeded("B"), completed];

  it("finds nothing wrong when only what was in flight ran again", () => {
    const evidence = judgeRecovery(log, [start(1, "A"), start(1, "B"), start(2, "B")], {
      sessionId: "s",
      pid: 1,
      shown: ["A"],
    });
    expect(evidence).toEqual({ recorded: 2, finishedBeforeKill: ["A"], runAgain: ["B (B)"], violations: [] });
    expect(evidenceText(evidence)).toContain("B (B): run again, as promised");
  });

  it("takes steps of another session in the same process for no steps of this one", () => {
    const starts = [start(1, "A"), start(1, "B"), start(1, "A", "older"), start(2, "B"), start(2, "A", "older")];
    const evidence = judgeRecovery(log, starts, { sessionId: "s", pid: 1, shown: ["A"] });
    expect(evidence).toEqual({ recorded: 2, finishedBeforeKill: ["A"], runAgain: ["B (B)"], violations: [] });
  });

  it("reports a step that one process began twice", () => {
    const starts = [start(1, "A"), start(2, "B"), start(2, "B")];
    const { violations } = judgeRecovery(log, starts, { sessionId: "s", pid: 1, shown: ["A"] });
    expect(violations).toEqual(["process 2 began a step twice"]);
  });

  it.each([
    [
      "a finished step that ran again",
      log,
      [start(1, "A"), start(2, "A"), start(2, "B")],
      "A was finished before the kill, but its agent ran again",
    ],
    [
      "a result recorded twice",
      [...log.slice(0, 4), succeeded("B"), completed],
      [start(1, "A"), start(2, "B")],
      "B has 2 recorded results",
    ],
    [
      "a result shown but lost",
      [started("B"), succeeded("B"), completed],
      [start(1, "A"), start(2, "B")],
      "A was shown as finished, but the log has no result of it",
    ],
    [
      "a step started after its result",
      [...log.slice(0, 4), started("A"), completed],
      [start(1, "A"), start(2, "B")],
      "A (A) started again after its result was recorded",
    ],
    ["a run that never ended", log.slice(0, 4), [start(1, "A"), start(2, "B")], "the run completed 0 times"],
  ])("reports %s", (_, events, starts, violation) => {
    const evidence = judgeRecovery(events, starts, { sessionId: "s", pid: 1, shown: ["A"] });
    expect(evidence.violations).toContain(violation);
    expect(evidenceText(evidence)).toContain(`BROKEN: ${violation}`);
  });
});

describe("timings", () => {
  it("adds up per agent, and counts time side by side once", () => {
    const steps = [
      { node: "A", started: 0, ended: 10 },
      { node: "B", started: 5, ended: 20 },
      { node: "A", started: 30, ended: 40 },
    ];
    expect(timingsOf(steps)).toEqual({
      nodes: [
        { node: "A", steps: 2, ms: 20 },
        { node: "B", steps: 1, ms: 15 },
      ],
      wallMs: 40,
      busyMs: 30,
    });
  });

  it("is zero for a run without steps", () => {
    expect(timingsOf([])).toEqual({ nodes: [], wallMs: 0, busyMs: 0 });
  });
});
