import { Fields, shown } from "./fields.ts";
import { wrongName } from "./notation.ts";
import { findNotPlain, frozenCopy, isRecord } from "./plain-json.ts";
import type { ProblemList } from "./problems.ts";
import type { ConvergencePolicy, NodeData, NodeKind, OnTimeout } from "./types.ts";

export type Draft<T> = { -readonly [K in keyof T]: T[K] };
export type NodeDraft = Draft<NodeData>;

const KINDS: readonly NodeKind[] = ["agent", "user", "start", "end", "tool", "system"];
const KIND_BY_NAME: ReadonlyMap<string, NodeKind> = new Map([
  ["user", "user"],
  ["start", "start"],
  ["end", "end"],
]);
const RENAMED = {
  convergence_policy: "convergencePolicy",
  parallel_calls: "parallelCalls",
  node_type: "kind",
  type: "kind",
};

/** `User`, `Start` and `End`, in any case, have the kinds they say; any other name is an agent's. */
export function kindOfName(name: string): NodeKind {
  return KIND_BY_NAME.get(name.toLowerCase()) ?? "agent";
}

/** The drafts of one item of `nodes`, and who may be addressed where the item is an agent with `allowedPeers`. */
export interface ReadNode {
  readonly draft: NodeDraft;
  readonly allowedPeers?: readonly string[];
}

/** Is `item` an agent rather than a description of a node? Its own properties are not ours to judge. */
export function isAgentLike(item: unknown): item is Readonly<Record<string, unknown>> {
  if (!isRecord(item)) return false;
  const prototype: unknown = Object.getPrototypeOf(item);
  return (
    "allowedPeers" in item ||
    typeof item["run"] === "function" ||
    (prototype !== Object.prototype && prototype !== null)
  );
}

export function readNode(item: unknown, path: string, problems: ProblemList): ReadNode | undefined {
  if (typeof item === "string") return named(item, path, problems);
  if (!isRecord(item)) {
    problems.error("bad_node", path, `expected a name, an object with a name, or an agent, got ${shown(item)}`);
    return undefined;
  }
  if (isAgentLike(item)) return readAgent(item, item["name"], path, problems);
  const fields = new Fields(item, path, problems);
  const name = fields.string("name");
  if (!fields.has("name")) problems.error("bad_node", path, "a node needs a name");
  const read = name === undefined ? undefined : named(name, fields.at("name"), problems);
  const options = readOptions(fields, problems);
  return read === undefined ? undefined : { draft: { ...read.draft, ...options } };
}

/** An agent object: its name, and its `allowedPeers` if it has any. */
export function readAgent(agent: unknown, name: unknown, path: string, problems: ProblemList): ReadNode | undefined {
  if (typeof name !== "string") {
    problems.error("bad_node", path, `an agent in a topology needs a name, got ${shown(name)}`);
    return undefined;
  }
  const read = named(name, path, problems);
  const peers = isRecord(agent) ? agent["allowedPeers"] : undefined;
  if (read === undefined || peers === undefined) return read;
  if (!Array.isArray(peers) || !peers.every((peer) => typeof peer === "string")) {
    problems.error("bad_value", `${path}.allowedPeers`, `allowedPeers: expected a list of names, got ${shown(peers)}`);
    return read;
  }
  return { draft: read.draft, allowedPeers: peers };
}

function named(name: string, path: string, problems: ProblemList): ReadNode | undefined {
  const wrong = wrongName(name);
  if (wrong === undefined) return { draft: { name, kind: kindOfName(name) } };
  problems.error("bad_name", path, wrong);
  return undefined;
}

function readOptions(fields: Fields, problems: ProblemList): Partial<NodeDraft> {
  const options = {
    kind: fields.oneOf("kind", KINDS),
    convergence: fields.boolean("convergence"),
    merge: fields.boolean("merge"),
    convergencePolicy: readPolicy(fields, problems),
    convergenceTimeoutMs: fields.durationMsOrFalse("convergenceTimeoutMs"),
    parallelCalls: fields.boolean("parallelCalls"),
    role: fields.string("role"),
    input: fields.oneOf("input", ["arrivals", "values"]),
    timeoutMs: fields.durationMsOrFalse("timeoutMs"),
    onTimeout: readOnTimeout(fields, problems),
    uses: fields.string("uses"),
    metadata: fields.metadata(),
  };
  fields.refuseOthers(RENAMED);
  return defined(options);
}

function readOnTimeout(fields: Fields, problems: ProblemList): OnTimeout | undefined {
  const raw = fields.raw("onTimeout");
  if (raw === undefined || raw === "fail") return raw;
  const at = fields.at("onTimeout");
  if (!isRecord(raw) || !Object.hasOwn(raw, "answer") || Object.keys(raw).length !== 1) {
    problems.error("bad_value", at, `onTimeout: expected "fail" or { answer }, got ${shown(raw)}`);
    return undefined;
  }
  const wrong = findNotPlain(raw, at);
  if (wrong === undefined) return frozenCopy(raw) as OnTimeout;
  problems.error("bad_value", wrong.path, `expected plain JSON, got ${wrong.found}`);
  return undefined;
}

function readPolicy(fields: Fields, problems: ProblemList): ConvergencePolicy | undefined {
  const raw = fields.raw("convergencePolicy");
  if (raw === "all") return { minRatio: 1 };
  if (raw === "any") return { quorum: 1 };
  if (typeof raw === "string") {
    problems.error(
      "bad_value",
      fields.at("convergencePolicy"),
      `convergencePolicy: expected "all", "any" or an object, got ${shown(raw)}`,
    );
    return undefined;
  }
  const record = fields.record("convergencePolicy");
  if (record === undefined) return undefined;
  const policy = new Fields(record, fields.at("convergencePolicy"), problems);
  const read = {
    minRatio: policy.ratio("minRatio"),
    quorum: policy.count("quorum", 1),
    onInsufficient: policy.oneOf("onInsufficient", ["fail", "proceed", "user"]),
  };
  policy.refuseOthers({ min_ratio: "minRatio", on_insufficient: "onInsufficient" });
  return defined(read);
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The properties that are there: `exactOptionalPropertyTypes` tells absent from undefined, and so does JSON. */
export function defined<T extends object>(record: T): Defined<T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Defined<T>;
}
