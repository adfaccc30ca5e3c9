// Counterexamples: a run told in words, as a schedule and as a drawing.

import { mermaidText } from "../../topology/drawing.ts";
import type { Plan } from "../../topology/plan.ts";
import type { KernelEvent } from "../effects.ts";
import { initialState, reduce } from "../reduce.ts";
import type { SessionState } from "../session-state.ts";
import type { Happening } from "./sights.ts";
import type { CheckFinding, ScheduledEnd } from "./report.ts";

export type Told = Pick<CheckFinding, "counterexample" | "schedule" | "mermaid">;

export const NOTHING_TOLD: Told = { counterexample: [], schedule: [], mermaid: "" };

/** `lapFrom`: the happenings from there on repeat for ever. */
export function tell(plan: Plan, happenings: readonly Happening[], lapFrom?: number): Told {
  const lines: string[] = [];
  const drawing = new Drawing();
  let session: SessionState = initialState("check");
  happenings.forEach(({ fact, end }, i) => {
    if (i === lapFrom) lines.push("from here on it goes round:");
    const { state, events } = reduce(session, fact, 0);
    session = state;
    const follows = events.flatMap((event) => consequence(event));
    lines.push([lineOf(plan, end), ...follows].join("; "));
    drawing.add(i, end, events);
  });
  const end = session.run?.end ?? null;
  if (end !== null)
    lines.push(end.error === null ? "the run completes" : `the run fails with ${end.error.code}: ${end.error.message}`);
  return { counterexample: lines, schedule: happenings.map((one) => one.end), mermaid: drawing.text() };
}

function lineOf(plan: Plan, end: ScheduledEnd): string {
  const what = `${end.node} ${verbOf(plan, end)}`;
  const judged = [holding(end.held, "holds", "hold"), holding(end.notHeld, "does not hold", "do not hold")];
  const told = judged.filter((part) => part !== "").join(" and ");
  return told === "" ? what : `${what}, where ${told}`;
}

function holding(conditions: readonly string[], one: string, several: string): string {
  if (conditions.length === 0) return "";
  const names = conditions.map((condition) => JSON.stringify(condition)).join(", ");
  return `${names} ${conditions.length === 1 ? one : several}`;
}

function verbOf(plan: Plan, { of, end, to }: ScheduledEnd): string {
  switch (end) {
    case "failed":
      return of === "question" ? "is not answered in time" : "fails for good";
    case "final":
      return "ends all with next.final";
    case "invoke":
      return `invokes ${to.join()}`;
    case "parallel":
      return `invokes ${to.join(" and ")} in parallel`;
    case "proceed":
      return "asks what to do about what it lacks, and is told to proceed";
    case "fail":
      return "asks what to do about what it lacks, and is told to fail";
    case "skip":
      return "asks what to do about a failure, and is told to skip";
    case "abort":
      return "asks what to do about a failure, and is told to abort";
    case "value":
      if (of === "task") return plan.nodes[plan.entry]!.act === "pass" ? "passes the task on" : "is given the task";
      return of === "question" ? "answers" : "returns a value";
  }
}

function consequence(event: KernelEvent): string[] {
  switch (event.type) {
    case "barrier.fired": {
      const { node, decision, arrived, failed } = event;
      const units = `${arrived} arrived${failed === 0 ? "" : `, ${failed} failed`}`;
      if (decision === "cancelled") return [`the join at ${node} is called off (${units})`];
      if (decision === "asked") return [`the join at ${node} asks a person (${units})`];
      return [`the join at ${node} ${decision === "fired" ? "fires" : "fails"} (${units})`];
    }
    case "branch.ended":
      return event.status === "skipped" ? ["a branch ends undelivered"] : [];
    default:
      return [];
  }
}

/** What led to what: a box for each step and question, a rhombus for each join, and the end of the run. */
class Drawing {
  readonly #boxes: string[] = [];
  readonly #arrows: string[] = [];
  readonly #failed: string[] = [];
  readonly #unended = new Map<string, { box: string; node: string }>();
  readonly #joins = new Map<string, string>();
  #count = 0;

  add(index: number, end: ScheduledEnd, events: readonly KernelEvent[]): void {
    const from = this.#ended(index, end);
    const label = labelOf(end);
    const fired = new Map<string, string>();
    let last = from;
    for (const event of events) {
      switch (event.type) {
        case "barrier.arrived":
          this.#arrow(from, this.#join(event.barrierId, event.node), label);
          break;
        case "barrier.fired": {
          const join = this.#join(event.barrierId, event.node);
          last = join;
          if (event.decision === "failed") this.#failed.push(join);
          if (event.decision === "fired") fired.set(event.node, join);
          if (event.arrived === 0) this.#arrow(from, join, label);
          break;
        }
        case "step.started":
          this.#begin(event.stepId, event.node, fired.get(event.node) ?? from, fired.has(event.node) ? "" : label);
          break;
        case "user.asked":
          this.#begin(localId(event.questionId), event.node, fired.get(event.node) ?? from, label);
          break;
        case "run.completed":
        case "run.failed": {
          const box = this.#name();
          const failed = event.type === "run.failed";
          this.#boxes.push(`${box}(("${failed ? event.error.code : "completed"}"))`);
          if (failed) this.#failed.push(box);
          this.#arrow(last, box, last === from ? label : "");
          break;
        }
        default:
      }
    }
  }

  text(): string {
    const waiting = [...this.#unended.values()];
    return [
      "flowchart TD",
      ...this.#boxes.map((box) => `  ${box}`),
      ...waiting.map(({ box, node }) => `  ${box}["${mermaidText(node)}"]`),
      ...this.#arrows.map((arrow) => `  ${arrow}`),
      ...(waiting.length === 0
        ? []
        : ["  classDef open stroke-dasharray:4", `  class ${waiting.map(({ box }) => box).join()} open`]),
      ...(this.#failed.length === 0
        ? []
        : ["  classDef failed stroke:#c00,stroke-width:2px", `  class ${[...new Set(this.#failed)].join()} failed`]),
      "",
    ].join("\n");
  }

  #name(): string {
    return `s${this.#count++}`;
  }

  #ended(index: number, end: ScheduledEnd): string {
    const known = this.#unended.get(end.id);
    this.#unended.delete(end.id);
    const box = known?.box ?? this.#name();
    const text = mermaidText(end.of === "task" ? "task" : `${index}. ${end.node}`);
    this.#boxes.push(end.of === "task" ? `${box}(["${text}"])` : `${box}["${text}"]`);
    if (end.end === "failed") this.#failed.push(box);
    return box;
  }

  #begin(id: string, node: string, from: string, label: string): void {
    const box = this.#name();
    this.#unended.set(id, { box, node });
    this.#arrow(from, box, label);
  }

  #join(barrierId: string, node: string): string {
    const known = this.#joins.get(barrierId);
    if (known !== undefined) return known;
    const box = this.#name();
    this.#joins.set(barrierId, box);
    this.#boxes.push(`${box}{"join at ${mermaidText(node)}"}`);
    return box;
  }

  #arrow(from: string, to: string, label: string): void {
    const arrow = `${from} -->${label === "" ? "" : `|"${mermaidText(label)}"|`} ${to}`;
    if (!this.#arrows.includes(arrow)) this.#arrows.push(arrow);
  }
}

function labelOf({ end, held, notHeld }: ScheduledEnd): string {
  if (end === "value") return held.length === 0 && notHeld.length > 0 ? "no condition holds" : held.join(", ");
  return end === "failed" ? "fails" : end;
}

function localId(questionId: string): string {
  return questionId.slice(questionId.lastIndexOf("/") + 1);
}
