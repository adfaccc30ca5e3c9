// Findings: what the states that were explored say of the topology, each with a shortest run that shows it.

import { addressedFrom } from "../../topology/analysis.ts";
import { hasBit, reachableFrom } from "../../topology/graph.ts";
import type { Plan } from "../../topology/plan.ts";
import type { Severity, TopologyData } from "../../topology/types.ts";
import { FREEDOM, type Freedom } from "./choices.ts";
import { NOTHING_TOLD, tell } from "./counterexample.ts";
import type { Explored, ExploredState } from "./explore.ts";
import type { Happening, Seen } from "./sights.ts";
import { FINDING_CODES, type CheckFinding, type FindingCode } from "./report.ts";
import { Retrace } from "./retrace.ts";
import type { StateGraph } from "./state-graph.ts";

export class Findings {
  readonly #plan: Plan;
  readonly #data: TopologyData;
  readonly #explored: Explored;
  readonly #byValues: StateGraph;
  readonly #byFailures: StateGraph;
  readonly #retrace: Retrace;
  readonly #found: CheckFinding[] = [];

  constructor(plan: Plan, data: TopologyData, explored: Explored, byValues: StateGraph, byFailures: StateGraph) {
    this.#plan = plan;
    this.#data = data;
    this.#explored = explored;
    this.#byValues = byValues;
    this.#byFailures = byFailures;
    this.#retrace = new Retrace(plan, explored);
  }

  all(): CheckFinding[] {
    this.#cyclesWithoutExit();
    this.#undelivered();
    this.#joins();
    this.#calls();
    this.#unreached();
    this.#bounds();
    this.#laps();
    this.#limit();
    this.#failures();
    this.#never();
    const place = ({ code, severity }: CheckFinding): number =>
      SEVERITIES.indexOf(severity) * FINDING_CODES.length + FINDING_CODES.indexOf(code);
    return this.#found.toSorted((a, b) => place(a) - place(b));
  }

  #add(
    code: FindingCode,
    severity: Severity,
    message: string,
    nodes: readonly string[],
    happenings: readonly Happening[] = [],
    lapFrom?: number,
  ): void {
    const told = happenings.length === 0 ? NOTHING_TOLD : tell(this.#plan, happenings, lapFrom);
    this.#found.push({ code, severity, message, nodes, ...told });
  }

  #cyclesWithoutExit(): void {
    const lap = this.#byValues.lap(this.#byValues.trapped());
    if (lap === undefined) return;
    const { happenings, lapFrom } = this.#retrace.lap(lap);
    const nodes = this.#actingIn(happenings.slice(lapFrom));
    this.#add(
      "cycle_without_exit",
      "error",
      `nothing but a failure or a command ends a run that has come to ${list(nodes)}`,
      nodes,
      happenings,
      lapFrom,
    );
  }

  #undelivered(): void {
    for (const [node, state] of this.#endsBy("ORCH_NO_ROUTE")) {
      const { freedom } = this.#explored.states[state]!;
      const how =
        freedom === FREEDOM.noneHeld ? "when no condition holds" : freedom === FREEDOM.values ? "" : NEEDS[freedom];
      const nodes = this.#twinsOf(node);
      this.#add(
        "nothing_delivered",
        freedom === FREEDOM.values ? "error" : "info",
        `a run can end at ${list(nodes)} with nothing delivered${how === "" ? "" : `, ${how}`}`,
        nodes,
        this.#retrace.to(state),
      );
    }
  }

  #never(): void {
    if (this.#explored.complete[FREEDOM.noneHeld] !== true) return;
    if (this.#found.some(({ severity }) => severity === "error")) return;
    const ends = this.#soonest(({ ended, freedom }) => ended !== null && freedom <= FREEDOM.noneHeld);
    if (ends === undefined) return;
    if (
      this.#soonest(({ ended, freedom }) => ended?.status === "completed" && freedom <= FREEDOM.noneHeld) !== undefined
    )
      return;
    const happenings = this.#retrace.to(ends);
    this.#add(
      "never_delivers",
      "error",
      "no run delivers a response, whatever conditions hold, unless an agent gives a command",
      this.#actingIn(happenings.slice(-1)),
      happenings,
    );
  }

  #joins(): void {
    const { opened, fired, failed } = this.#explored.seen;
    const complete = this.#explored.complete[FREEDOM.failures] === true;
    for (const node of opened.keys()) {
      const seen = failed.get(node);
      if (seen === undefined) continue;
      const happenings = this.#retrace.through(seen);
      if (!fired.has(node) && seen.freedom <= FREEDOM.noneHeld) {
        const where = complete ? "" : `, in the ${this.#explored.states.length} states looked at`;
        const message = `the join at ${node} can never be satisfied${where}`;
        this.#add("join_never_satisfied", complete ? "error" : "warning", message, [node], happenings);
        continue;
      }
      const severity = seen.freedom === FREEDOM.values ? "warning" : "info";
      this.#add("join_can_fail", severity, `the join at ${node} can fail, ${NEEDS[seen.freedom]}`, [node], happenings);
    }
  }

  #calls(): void {
    for (const [node, seen] of this.#explored.seen.unanswered) {
      const severity = seen.freedom === FREEDOM.values ? "error" : "info";
      const message = `a call can end at ${node} with nobody to reply, ${NEEDS[seen.freedom]}`;
      this.#add("call_without_reply", severity, message, [node], this.#retrace.through(seen));
    }
  }

  #unreached(): void {
    const complete = this.#explored.complete[FREEDOM.failures] === true;
    const { reached } = this.#explored.seen;
    const addressed = this.#addressed();
    for (const { id, name, act } of this.#plan.nodes) {
      if (act === "exit" || act === "pass") continue;
      const seen = this.#twinNamed(reached, id);
      if (seen !== undefined && seen.freedom < FREEDOM.commands) continue;
      if (seen !== undefined) {
        const message = `only a command leads to ${name}`;
        if (complete) this.#add("unreached_node", "info", message, [name], this.#retrace.through(seen));
      } else if (!addressed.has(id)) {
        this.#add("unreached_node", complete ? "error" : "warning", `no run reaches ${name}`, [name]);
      } else if (complete) {
        this.#add("unreached_node", "warning", `no run reaches ${name}, unless by several commands`, [name]);
      }
    }
  }

  /** Nodes that something which ran can address, or could if it ran: by value or by command. */
  #addressed(): ReadonlySet<number> {
    const { nodes, nodeByName } = this.#plan;
    const succ = addressedFrom(this.#plan);
    const found = new Set<number>();
    const starts = [this.#plan.entry, ...[...this.#explored.seen.reached.keys()].map((name) => nodeByName.get(name)!)];
    for (const start of starts) {
      const bits = reachableFrom(succ, start);
      for (const { id } of nodes) if (hasBit(bits, id)) found.add(id);
    }
    return found;
  }

  #bounds(): void {
    for (const [bound, seen] of this.#explored.seen.bound) {
      const nodes = this.#plan.nodes.flatMap(({ name }) => (isNamedIn(bound, name) ? [name] : []));
      if (seen.freedom === FREEDOM.commands) continue;
      this.#add("loop_bound_hit", "info", `a run can reach the bound of ${bound}`, nodes, this.#retrace.through(seen));
    }
    for (const [node, state] of this.#endsBy("ORCH_LOOP_BOUND")) {
      const { freedom } = this.#explored.states[state]!;
      if (freedom === FREEDOM.commands) continue;
      const message = `a run can fail at ${node} because an edge is spent and nothing else holds`;
      const severity = freedom === FREEDOM.values ? "warning" : "info";
      this.#add("loop_bound_fails", severity, message, [node], this.#retrace.to(state));
    }
  }

  #laps(): void {
    if (this.#byFailures.longest() !== Infinity) return;
    if (this.#found.some(({ code }) => code === "cycle_without_exit")) return;
    const lap = this.#byValues.lap() ?? this.#byFailures.lap();
    if (lap === undefined) return;
    const { happenings, lapFrom } = this.#retrace.lap(lap);
    const nodes = this.#actingIn(happenings.slice(lapFrom));
    const message = `nothing but the run's maxSteps bounds how often ${list(nodes)} ${nodes.length === 1 ? "is" : "are"} repeated`;
    this.#add("unbounded_steps", "info", message, nodes, happenings, lapFrom);
  }

  #limit(): void {
    const limit = this.#data.limits?.maxSteps;
    const longest = this.#byFailures.longest();
    if (limit === undefined || longest <= limit || longest === Infinity) return;
    this.#add(
      "steps_above_limit",
      "warning",
      `a run can need ${longest} steps, and the rule max_steps allows ${limit}`,
      [],
    );
  }

  #failures(): void {
    const ends = [...this.#endsBy("ORCH_AGENT_FAILED")].filter(
      ([, state]) => this.#explored.states[state]!.freedom === FREEDOM.failures,
    );
    const [first] = ends.toSorted(([, a], [, b]) => this.#explored.states[a]!.depth - this.#explored.states[b]!.depth);
    if (first === undefined) return;
    const named = new Set(ends.flatMap(([node]) => this.#twinsOf(node)));
    const nodes = this.#plan.nodes.flatMap(({ name }) => (named.has(name) ? [name] : []));
    const message = `the failure of ${list(nodes, "or")} can end the run`;
    this.#add("failure_ends_run", "info", message, nodes, this.#retrace.to(first[1]));
  }

  /** By node: the soonest end with this error. */
  #endsBy(code: string): Map<string, number> {
    const found = new Map<string, number>();
    this.#explored.states.forEach(({ ended }, i) => {
      if (ended?.error?.code !== code) return;
      const node = ended.error.node ?? "";
      const known = found.get(node);
      if (known === undefined || this.#isSooner(i, known)) found.set(node, i);
    });
    return found;
  }

  #soonest(fits: (state: ExploredState) => boolean): number | undefined {
    let found: number | undefined;
    this.#explored.states.forEach((state, i) => {
      if (fits(state) && (found === undefined || this.#isSooner(i, found))) found = i;
    });
    return found;
  }

  #isSooner(a: number, b: number): boolean {
    const [one, other] = [this.#explored.states[a]!, this.#explored.states[b]!];
    return one.freedom < other.freedom || (one.freedom === other.freedom && one.depth < other.depth);
  }

  #actingIn(happenings: readonly Happening[]): string[] {
    const acting = new Set(happenings.map(({ end }) => end.node));
    return this.#plan.nodes.flatMap(({ name }) => (acting.has(name) ? [name] : []));
  }

  #twinsOf(name: string): string[] {
    const { twins } = this.#explored;
    const id = this.#plan.nodeByName.get(name);
    if (id === undefined) return name === "" ? [] : [name];
    return this.#plan.nodes.flatMap((node) => (twins[node.id] === twins[id] ? [node.name] : []));
  }

  #twinNamed(sights: ReadonlyMap<string, Seen>, id: number): Seen | undefined {
    let found: Seen | undefined;
    for (const node of this.#plan.nodes) {
      if (this.#explored.twins[node.id] !== this.#explored.twins[id]) continue;
      const seen = sights.get(node.name);
      if (seen !== undefined && (found === undefined || seen.freedom < found.freedom)) found = seen;
    }
    return found;
  }
}

const SEVERITIES: readonly Severity[] = ["error", "warning", "info"];

const NEEDS: Readonly<Record<Freedom, string>> = {
  [FREEDOM.values]: "by values alone",
  [FREEDOM.noneHeld]: "when no condition holds",
  [FREEDOM.failures]: "when a step fails",
  [FREEDOM.commands]: "when an agent gives a command",
};

function isNamedIn(bound: string, name: string): boolean {
  return bound
    .replace(/^max_turns\((.*)\)$/, "$1")
    .split(/ -> | <~> /)
    .includes(name);
}

function list(names: readonly string[], word = "and"): string {
  if (names.length > 8) return `${names.slice(0, 7).join(", ")} ${word} ${names.length - 7} more`;
  const [last = "the entry", ...others] = names.toReversed();
  return others.length === 0 ? last : `${others.toReversed().join(", ")} ${word} ${last}`;
}
