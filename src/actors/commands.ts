// Commands: which of an agent's instructions its place in the topology allows, and what they mean there.
// A verdict only; `outcomes.ts` carries it out.

import type { ErrorData } from "../base/errors.ts";
import type { Stored } from "../base/stored.ts";
import type { PlanEdge, PlanNode } from "../topology/plan.ts";
import type { Draft } from "./draft.ts";
import type { Outcome } from "./facts.ts";
import { isSpent } from "./moves.ts";
import type { Branch } from "./session-state.ts";

export interface Addressed {
  readonly edge: PlanEdge;
  /** The node addressed; for a call back it is the edge's left side. */
  readonly node: number;
  readonly input: Stored;
}

export type CommandVerdict =
  | { readonly type: "call"; readonly targets: readonly Addressed[] }
  | { readonly type: "move"; readonly to: Addressed }
  | { readonly type: "fork"; readonly targets: readonly Addressed[] }
  | { readonly type: "peer"; readonly to: Addressed }
  | { readonly type: "exit"; readonly to: Addressed }
  | { readonly type: "converse"; readonly to: Addressed }
  | { readonly type: "turn"; readonly to: Addressed }
  | { readonly type: "wake" }
  | { readonly type: "refused"; readonly error: ErrorData };

export type Way = "call" | "flow" | "exit" | "peer" | "conversation" | "turn" | "error";

/** Everyone a branch at its node may address, by the way that comes first where there are several. */
export function waysFrom(draft: Draft, branch: Branch): Map<number, { way: Way; edge: PlanEdge }> {
  const { plan } = draft;
  const frame = draft.frame(branch.frame);
  const { out } = plan.nodes[branch.node]!;
  const ways = new Map<number, { way: Way; edge: PlanEdge }>();
  const add = (way: Way, ids: readonly number[], other: (edge: PlanEdge) => number): void => {
    for (const id of ids) {
      const edge = plan.edges[id]!;
      const node = other(edge);
      if (node >= 0 && !ways.has(node)) ways.set(node, { way, edge });
    }
  };
  const ahead = (edge: PlanEdge): number => edge.to;
  add("call", out.call, ahead);
  add("call", out.callBack, (edge) => edge.from);
  if (frame.kind === "conversation" && branch.instance === 0) {
    const edge = plan.edges[frame.edge!]!;
    add("turn", [edge.id], () => (branch.node === edge.to ? edge.from : edge.to));
    return ways;
  }
  if (branch.mustAnswer) return ways;
  add("flow", out.flow, ahead);
  add("exit", out.exit, ahead);
  add("peer", out.peers, (edge) => (edge.from === branch.node ? edge.to : edge.from));
  add("conversation", out.conversation, ahead);
  add("error", out.error, ahead);
  return ways;
}

export function decideCommand(draft: Draft, branch: Branch, outcome: Outcome): CommandVerdict {
  const node = draft.plan.nodes[branch.node]!;
  if (outcome.kind === "invoke") return decideInvoke(draft, branch, node, outcome);
  if (outcome.kind !== "parallel") throw new TypeError(`${outcome.kind} addresses nobody`);
  const ways = waysFrom(draft, branch);
  if (outcome.items.length === 0) {
    const canCall = [...ways.values()].some(({ way }) => way === "call");
    return canCall ? { type: "wake" } : refuse(node, "ORCH_EMPTY_PARALLEL", `${node.name} asked for no agents at all`);
  }
  const used = new Set<Way>();
  const targets: Addressed[] = [];
  for (const { agent, input } of outcome.items) {
    const target = draft.plan.nodeByName.get(agent);
    const found = target === undefined ? undefined : ways.get(target);
    if (found === undefined || (found.way !== "call" && found.way !== "flow"))
      return forbidden(draft, node, agent, ways, ["call", "flow"]);
    if (isSpent(draft, found.edge)) return spent(node, found.edge);
    used.add(found.way);
    targets.push({ edge: found.edge, node: target!, input });
  }
  if (used.size > 1) {
    return refuse(
      node,
      "ORCH_ROUTE_MIXED",
      `${node.name} mixed calls and moves in one parallel command: ${outcome.items.map((i) => i.agent).join(", ")}`,
    );
  }
  return used.has("call") ? { type: "call", targets } : { type: "fork", targets };
}

function decideInvoke(
  draft: Draft,
  branch: Branch,
  node: PlanNode,
  { agent, input }: { agent: string; input: Stored },
): CommandVerdict {
  const ways = waysFrom(draft, branch);
  const target = draft.plan.nodeByName.get(agent);
  const found = target === undefined ? undefined : ways.get(target);
  if (target === undefined || found === undefined) return forbidden(draft, node, agent, ways);
  if (isSpent(draft, found.edge)) return spent(node, found.edge);
  const to: Addressed = { edge: found.edge, node: target, input };
  switch (found.way) {
    case "call":
      return { type: "call", targets: [to] };
    case "peer":
      return { type: "peer", to };
    case "exit":
      return { type: "exit", to };
    case "conversation":
      return { type: "converse", to };
    case "turn":
      return { type: "turn", to };
    case "flow":
    case "error":
      return { type: "move", to };
  }
}

function forbidden(
  draft: Draft,
  node: PlanNode,
  agent: string,
  ways: ReturnType<typeof waysFrom>,
  only?: readonly Way[],
): CommandVerdict {
  const allowed = [...ways]
    .filter(([, { way }]) => only === undefined || only.includes(way))
    .map(([id]) => draft.nodeName(id));
  return refuse(
    node,
    "ORCH_ROUTE_FORBIDDEN",
    `${node.name} may not address ${JSON.stringify(agent)} here; allowed: ${allowed.length === 0 ? "nobody" : allowed.join(", ")}`,
  );
}

function spent(node: PlanNode, edge: PlanEdge): CommandVerdict {
  return refuse(
    node,
    "ORCH_LOOP_BOUND",
    `the edge ${edge.data.from} -> ${edge.data.to} may be used ${String(edge.maxVisits)} times and is spent`,
  );
}

function refuse(node: PlanNode, code: string, message: string): CommandVerdict {
  return { type: "refused", error: { code, message, node: node.name } };
}
