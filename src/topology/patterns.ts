// Patterns
//
// The usual shapes of a team (architecture, 5.6). A pattern is read like any other declaration, so what
// is wrong with its options is collected and reported the same way, never thrown by its maker.

import { Fields, shown } from "./fields.ts";
import { wrongName } from "./notation.ts";
import {
  broadcast,
  hierarchical,
  hubAndSpoke,
  mesh,
  namesInTree,
  pipeline,
  ring,
  star,
  type BroadcastOptions,
  type HierarchicalOptions,
  type HubAndSpokeOptions,
  type MeshOptions,
  type PatternOptions,
  type PipelineOptions,
  type RingOptions,
  type Shape,
  type StarOptions,
} from "./pattern-shapes.ts";
import { isRecord } from "./plain-json.ts";
import { ProblemList, type ReadTopology } from "./problems.ts";
import { readTopology, type TopologyDescription } from "./read.ts";
import { defined, kindOfName } from "./read-node.ts";
import { READ, type TopologySource } from "./source.ts";
import type { TopologyData } from "./types.ts";

export type PatternName =
  | "pipeline"
  | "hubAndSpoke"
  | "hierarchical"
  | "mesh"
  | "star"
  | "ring"
  | "broadcast"
  | "custom";

/** A topology by the name of its shape. Anything that takes a topology takes one of these. */
export class PatternConfig implements TopologySource {
  readonly pattern: PatternName;
  readonly options: Readonly<Record<string, unknown>>;
  readonly #read: () => ReadTopology;

  private constructor(pattern: PatternName, options: object, read: (options: unknown) => ReadTopology) {
    this.pattern = pattern;
    this.options = Object.freeze({ ...options });
    this.#read = () => read(options);
  }

  /** Stages in order; the members of one run one after another, or side by side with `parallelWithinStage`. */
  static pipeline(options: PipelineOptions): PatternConfig {
    return new PatternConfig("pipeline", options, reader("pipeline", checkPipeline, pipeline));
  }

  /** The hub calls each spoke with its value, in order or all at once, and is woken with the replies. */
  static hubAndSpoke(options: HubAndSpokeOptions): PatternConfig {
    return new PatternConfig(
      "hubAndSpoke",
      options,
      reader("hubAndSpoke", checkCenter("hub", "spokes", "parallelSpokes"), hubAndSpoke),
    );
  }

  /** Each calls those below it, all at once, and is woken with their replies. */
  static hierarchical(options: HierarchicalOptions): PatternConfig {
    return new PatternConfig("hierarchical", options, reader("hierarchical", checkHierarchical, hierarchical));
  }

  /** Any may address any other by command (`next.invoke`); a plain value is the response. */
  static mesh(options: MeshOptions): PatternConfig {
    return new PatternConfig("mesh", options, reader("mesh", checkMesh, mesh));
  }

  /** The center calls all points at once; not `bidirectional`, it hands its value on to them. */
  static star(options: StarOptions): PatternConfig {
    return new PatternConfig("star", options, reader("star", checkCenter("center", "points", "bidirectional"), star));
  }

  /** From one to the next, `laps` times round; the one before the entry gives the response. */
  static ring(options: RingOptions): PatternConfig {
    return new PatternConfig("ring", options, reader("ring", checkRing, ring));
  }

  /** One value to all receivers; the response is the list of theirs, or with `allowReplies` what the broadcaster makes of it. */
  static broadcast(options: BroadcastOptions): PatternConfig {
    return new PatternConfig(
      "broadcast",
      options,
      reader("broadcast", checkCenter("broadcaster", "receivers", "allowReplies"), broadcast),
    );
  }

  /** Nodes and edges as written. */
  static custom(description: TopologyDescription): PatternConfig {
    return new PatternConfig("custom", description, readTopology);
  }

  [READ](): ReadTopology {
    return this.#read();
  }

  /** The topology's data, without what could not be read. */
  toJSON(): TopologyData {
    return this.#read().data;
  }
}

type Check = (fields: Fields, problems: ProblemList) => readonly string[];

// `check` reports what is wrong with the options; only options it has nothing against are given a shape.
function reader<Options extends PatternOptions>(
  pattern: PatternName,
  check: Check,
  shape: (options: Options) => Shape,
) {
  return (options: unknown): ReadTopology => {
    const problems = new ProblemList();
    if (!isRecord(options)) {
      problems.error("bad_pattern", "", `PatternConfig.${pattern} expects an object of options, got ${shown(options)}`);
      return nothing(problems);
    }
    const fields = new Fields(options, "", problems);
    const names = check(fields, problems);
    checkNames(names, problems);
    const common = readCommon(fields);
    if (names.length > 0 && common.entryPoint !== undefined && !names.includes(common.entryPoint)) {
      problems.error(
        "unknown_node",
        "entryPoint",
        `no agent of the pattern is called ${JSON.stringify(common.entryPoint)}`,
        `one of ${names.slice(0, 10).join(", ")}`,
      );
    }
    fields.refuseOthers();
    if (problems.items.length > 0) return nothing(problems);
    // The check above has established what the type says.
    const checked: unknown = options;
    return readTopology(written(shape(checked as Options), common));
  };
}

function nothing(problems: ProblemList): ReadTopology {
  return { data: { v: 1, nodes: [], edges: [] }, problems: problems.items, nodePaths: [], edgePaths: [] };
}

function readCommon(fields: Fields) {
  return {
    entryPoint: fields.string("entryPoint"),
    user: fields.boolean("user"),
    timeoutMs: fields.durationMs("timeoutMs"),
    rules: fields.array("rules"),
    metadata: fields.metadata(),
  };
}

function written(
  shape: Shape,
  { entryPoint, user, timeoutMs, rules, metadata }: ReturnType<typeof readCommon>,
): Readonly<Record<string, unknown>> {
  const entry = entryPoint === undefined ? shape.entry : [entryPoint];
  const names = shape.nodes.map((node) => (typeof node === "string" ? node : node.name));
  const withUser = user === true && !names.some((name) => kindOfName(name) === "user");
  const gate = withUser ? "User" : entry.length > 1 ? "Start" : undefined;
  return defined({
    nodes: gate === undefined ? shape.nodes : [gate, ...shape.nodes],
    edges: [
      ...(gate === undefined ? [] : entry.map((to) => ({ from: gate, to }))),
      ...shape.edges,
      ...(withUser ? shape.exits.map((from) => ({ from, to: "User" })) : []),
    ],
    entryPoint: gate ?? entry[0],
    exitPoints: shape.exitsMoveOn === true && !withUser ? shape.exits : undefined,
    limits: timeoutMs === undefined ? undefined : { durationMs: timeoutMs },
    rules,
    metadata,
  });
}

function checkNames(names: readonly string[], problems: ProblemList): void {
  for (const name of new Set(names.filter((item, i) => names.indexOf(item) !== i))) {
    problems.error("duplicate_node", "", `${JSON.stringify(name)} has two places in the pattern`);
  }
  for (const name of names) {
    const wrong = wrongName(name);
    if (wrong !== undefined) problems.error("bad_name", "", wrong);
  }
}

/** A list of at least one name. */
function nameList(list: unknown, path: string, problems: ProblemList): readonly string[] {
  const items: readonly unknown[] = Array.isArray(list) ? list : [];
  const names = items.filter((item) => typeof item === "string");
  if (names.length > 0 && names.length === items.length) return names;
  const got = !Array.isArray(list)
    ? shown(list)
    : items.length === 0
      ? "an empty list"
      : shown(items.find((item) => typeof item !== "string"));
  problems.error(
    "bad_pattern",
    path,
    list === undefined
      ? `"${path}" is missing: expected the names of agents`
      : `expected the names of agents, got ${got}`,
  );
  return names;
}

function oneName(fields: Fields, key: string, problems: ProblemList): readonly string[] {
  const name = fields.string(key);
  if (name === undefined && !fields.has(key))
    problems.error("bad_pattern", fields.at(key), `${key}: expected the name of an agent`);
  return name === undefined ? [] : [name];
}

function checkPipeline(fields: Fields, problems: ProblemList): readonly string[] {
  fields.boolean("parallelWithinStage");
  const stages = fields.array("stages");
  if ((stages === undefined && !fields.has("stages")) || stages?.length === 0) {
    problems.error(
      "bad_pattern",
      "stages",
      'stages: expected a list like [{ name: "extract", agents: ["Extractor"] }]',
    );
  }
  const people = new Set<string>();
  return (stages ?? []).flatMap((stage, i) => {
    if (!isRecord(stage)) {
      problems.error("bad_pattern", `stages[${i}]`, `expected { name, agents }, got ${shown(stage)}`);
      return [];
    }
    const inside = new Fields(stage, `stages[${i}]`, problems);
    inside.string("name");
    const agents = nameList(inside.raw("agents"), inside.at("agents"), problems);
    inside.refuseOthers();
    // A person may stand in several stages: to begin, to be asked, to get the response.
    return agents.filter((name) => kindOfName(name) !== "user" || (!people.has(name) && people.add(name)));
  });
}

function checkCenter(center: string, others: string, flag: string): Check {
  return (fields, problems) => {
    fields.boolean(flag);
    return [...oneName(fields, center, problems), ...nameList(fields.raw(others), others, problems)];
  };
}

function checkMesh(fields: Fields, problems: ProblemList): readonly string[] {
  fields.boolean("fullyConnected");
  return nameList(fields.raw("agents"), "agents", problems);
}

function checkRing(fields: Fields, problems: ProblemList): readonly string[] {
  fields.boolean("bidirectional");
  fields.count("laps", 1);
  return nameList(fields.raw("agents"), "agents", problems);
}

function checkHierarchical(fields: Fields, problems: ProblemList): readonly string[] {
  const tree = fields.record("tree");
  if (tree !== undefined) {
    for (const key of ["root", "levels"]) {
      if (fields.has(key)) problems.error("conflicting_options", key, `give "tree", or "root" and "levels", not both`);
    }
    return checkTree(tree, problems);
  }
  const root = oneName(fields, "root", problems);
  const levels = fields.array("levels");
  if (levels === undefined && !fields.has("levels"))
    problems.error("bad_pattern", "levels", 'levels: expected lists of names like [["A", "B"], ["C"]]');
  return [...root, ...(levels ?? []).flatMap((level, i) => nameList(level, `levels[${i}]`, problems))];
}

function checkTree(tree: Readonly<Record<string, unknown>>, problems: ProblemList): readonly string[] {
  const isLeaf = (below: unknown): boolean => Array.isArray(below) && below.length === 0;
  const read = Object.fromEntries(
    Object.entries(tree).map(([above, below]) => [
      above,
      isLeaf(below) ? [] : nameList(below, `tree.${above}`, problems),
    ]),
  );
  const below = Object.values(read).flat();
  const roots = Object.keys(read).filter((name) => !below.includes(name));
  if (roots.length !== 1) {
    const found = roots.length === 0 ? "none, they form a circle" : roots.join(", ");
    problems.error("bad_pattern", "tree", `tree: expected one agent that nobody is above, found ${found}`);
    return below;
  }
  const reached = new Set(roots);
  for (const name of reached) for (const child of read[name] ?? []) reached.add(child);
  const apart = Object.keys(read).filter((name) => !reached.has(name));
  if (apart.length > 0)
    problems.error(
      "bad_pattern",
      "tree",
      `tree: ${apart.join(", ")} form a circle that ${roots.join("")} does not lead to`,
    );
  return namesInTree(read);
}
