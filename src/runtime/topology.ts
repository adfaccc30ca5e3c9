import { checkTopology } from "../actors/check/check.ts";
import type { CheckOptions, CheckReport } from "../actors/check/report.ts";
import { analyzePlan, reachableNames, type TopologyAnalysis } from "../topology/analysis.ts";
import { compilePlan } from "../topology/compile.ts";
import { toDot, toMermaid } from "../topology/drawing.ts";
import { hashTopology } from "../topology/hash.ts";
import { frozenCopy, isRecord } from "../topology/plain-json.ts";
import {
  assertNoErrors,
  TopologyValidationError,
  type ReadProblemCode,
  type ReadTopology,
} from "../topology/problems.ts";
import { readTopology, type EdgeInput, type NodeInput, type TopologyInput } from "../topology/read.ts";
import type { NodeOptions } from "../topology/edge.ts";
import type { Plan } from "../topology/plan.ts";
import type { RuleValue } from "../topology/rules.ts";
import { READ, type TopologySource } from "../topology/source.ts";
import { suggest } from "../topology/suggestion.ts";
import type { EdgeData, EdgePattern, NodeData, TopologyData, TopologyProblem } from "../topology/types.ts";
import { validateRead, type ValidateOptions } from "../topology/validate.ts";

/**
 * Who may talk to whom, as an immutable value. Anything that takes a topology takes one.
 *
 * `from` accepts what cannot be run: what is wrong stays with the topology, `validate` lists it, and a run
 * refuses to start. The methods that return a changed topology throw `TopologyValidationError` when what
 * they are asked for is wrong in itself.
 */
export class Topology implements TopologySource {
  readonly #read: ReadTopology;
  #hash: string | undefined;

  /** As `Topology.from`. (`read` is what reading `input` gave, where that is known.) */
  constructor(input: TopologyInput, read: ReadTopology = readTopology(input)) {
    this.#read = read;
  }

  static from(input: TopologyInput): Topology {
    return input instanceof Topology ? input : new Topology(input);
  }

  /**
   * Reads back what `toJSON` gave, as an object or as text.
   *
   * @throws {TopologyValidationError} when it is not such data.
   */
  static fromJSON(json: unknown): Topology {
    const read = readTopology(typeof json === "string" ? parsedJson(json) : json);
    assertNoErrors(read.problems);
    return new Topology(read.data, read);
  }

  [READ](): ReadTopology {
    return this.#read;
  }

  /** The topology as plain, frozen data. */
  get data(): TopologyData {
    return this.#read.data;
  }

  get nodes(): readonly NodeData[] {
    return this.data.nodes;
  }

  get edges(): readonly EdgeData[] {
    return this.data.edges;
  }

  /** {@link hashTopology} of the data. */
  get hash(): string {
    return (this.#hash ??= hashTopology(this.data));
  }

  node(name: string): NodeData | undefined {
    return this.nodes.find((node) => node.name === name);
  }

  /** Everything that is wrong, each with code, severity, path, message and hint; an empty list when nothing is. */
  validate(options: ValidateOptions = {}): TopologyProblem[] {
    return validateRead(this.#read, options);
  }

  /** @throws {TopologyValidationError} when there is an error among the problems. Returns the topology itself. */
  assertValid(options: ValidateOptions = {}): this {
    assertNoErrors(this.validate(options));
    return this;
  }

  /** What a run will make of it: entries, exits, forks, joins, cycles. With `errorRouting: false` no error edge counts. */
  analyze(options: { readonly errorRouting?: boolean } = {}): TopologyAnalysis {
    return analyzePlan(this.#plan(options.errorRouting ?? true));
  }

  /**
   * Tries what runs can come to, with conditions and failures left free, by the same rules that run them: joins that can never be
   * satisfied, cycles without exit, runs that deliver nothing, nodes no run reaches, the steps of the longest run. Each finding
   * comes with a shortest run that shows it. Time and memory grow with `maxStates`; nothing is run and nobody is asked.
   *
   * @throws {TopologyValidationError} when validation finds an error, for such a topology has no runs.
   * @throws {OrchestraError} `ORCH_BAD_OPTION` when `maxStates` is no whole number from 1.
   */
  check({ functions, ...options }: CheckOptions & Pick<ValidateOptions, "functions"> = {}): CheckReport {
    this.assertValid({ ...(functions !== undefined && { functions }), errorRouting: options.errorRouting ?? true });
    return checkTopology(this.data, options);
  }

  /** Names of the nodes that control can come to from `name`, by value or by command. */
  reachableFrom(name: string): string[] {
    return reachableNames(this.#plan(true), name);
  }

  toMermaid(): string {
    return toMermaid(this.data);
  }

  toDot(): string {
    return toDot(this.data);
  }

  toJSON(): TopologyData {
    return this.data;
  }

  addNode(node: NodeInput): Topology {
    return this.#changed({ nodes: [...this.nodes, node] });
  }

  /** Changes options of a node; an option given as undefined goes back to its default. */
  updateNode(name: string, options: { readonly [K in keyof NodeOptions]?: NodeOptions[K] | undefined }): Topology {
    this.#known(name);
    return this.#changed({ nodes: this.nodes.map((node) => (node.name === name ? { ...node, ...options } : node)) });
  }

  /** Removes a node, its edges, and its part as entry or exit point. */
  removeNode(name: string): Topology {
    this.#known(name);
    return this.#changed({
      nodes: this.nodes.filter((node) => node.name !== name),
      edges: this.edges.filter((edge) => edge.from !== name && edge.to !== name),
      entryPoint: this.data.entryPoint === name ? undefined : this.data.entryPoint,
      exitPoints: this.data.exitPoints?.filter((exit) => exit !== name),
    });
  }

  addEdge(edge: EdgeInput): Topology {
    return this.#changed({ edges: [...this.edges, edge] });
  }

  /** Removes all edges from `from` to `to`, or only those of one pattern. */
  removeEdge(from: string, to: string, pattern?: EdgePattern): Topology {
    const goes = (edge: EdgeData): boolean =>
      edge.from === from && edge.to === to && (pattern ?? edge.pattern) === edge.pattern;
    if (!this.edges.some(goes)) {
      throw refused(
        "unknown_edge",
        "edges",
        `there is no ${pattern ?? ""} edge from ${JSON.stringify(from)} to ${JSON.stringify(to)}`.replace("  ", " "),
      );
    }
    return this.#changed({ edges: this.edges.filter((edge) => !goes(edge)) });
  }

  /** Adds a rule and its effect. */
  addRule(rule: string | RuleValue): Topology {
    const { rules = [], ...data } = this.data;
    const { v: _v, ...description } = data;
    const read = readTopology({ ...description, rules: [rule] });
    assertNoErrors(read.problems);
    return this.#next({ ...read, data: frozenCopy({ ...read.data, rules: [...rules, rule] }) });
  }

  withEntryPoint(name: string | undefined): Topology {
    return this.#changed({ entryPoint: name });
  }

  withExitPoints(names: readonly string[]): Topology {
    return this.#changed({ exitPoints: names });
  }

  withMetadata(metadata: Readonly<Record<string, unknown>>): Topology {
    return this.#changed({ metadata });
  }

  #plan(errorRouting: boolean): Plan {
    assertNoErrors(this.#read.problems);
    return compilePlan(this.data, { errorRouting });
  }

  #changed(change: Readonly<Record<string, unknown>>): Topology {
    const read = readTopology({ ...this.data, ...change });
    assertNoErrors(read.problems);
    return this.#next(read);
  }

  // What was wrong with the topology stays wrong: a part that could not be read is still missing.
  #next(read: ReadTopology): Topology {
    return new Topology(read.data, { ...read, problems: [...this.#read.problems, ...read.problems] });
  }

  #known(name: string): void {
    if (this.node(name) !== undefined) return;
    const hint = suggest(
      name,
      this.nodes.map((node) => node.name),
    );
    throw refused("unknown_node", "nodes", `no node is called ${JSON.stringify(name)}`, hint);
  }
}

function refused(code: ReadProblemCode, path: string, message: string, hint?: string): TopologyValidationError {
  return new TopologyValidationError([
    { code, severity: "error", path, message, ...(hint === undefined ? {} : { hint }) },
  ]);
}

function parsedJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch (error) {
    throw refused("bad_topology", "", `not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw refused("bad_topology", "", "expected a JSON object");
}
