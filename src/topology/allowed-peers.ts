import type { TopologyDraft } from "./draft.ts";

/** Whom one agent says it may address. */
export interface PeerDeclaration {
  readonly name: string;
  readonly peers: readonly string[];
  readonly path: string;
}

/**
 * Adds the edges that agents declare by `allowedPeers`: `A -> B` where A names B, one `A <|> B` where each names
 * the other (a plain value would otherwise go back and forth for ever). Pairs that have a written edge keep it.
 *
 * Returns the entry to assume: the first agent, where agents declare peers and none of them is free of incoming edges alone.
 */
export function addAllowedPeers(declared: readonly PeerDeclaration[], draft: TopologyDraft): string | undefined {
  if (declared.length === 0) return undefined;
  const named = new Set(declared.flatMap(({ name, peers }) => peers.map((peer) => pair(name, peer))));
  const written = new Set(draft.edges.flatMap(({ from, to }) => [pair(from, to), pair(to, from)]));
  for (const { name, peers, path } of declared) {
    for (const [i, peer] of peers.entries()) {
      if (written.has(pair(name, peer))) continue;
      const mutual = name !== peer && named.has(pair(peer, name));
      draft.addEdge({ from: name, to: peer, pattern: mutual ? "peers" : "flow", type: "invoke" }, `${path}[${i}]`);
      written.add(pair(name, peer));
      if (mutual) written.add(pair(peer, name));
    }
  }
  const entered = new Set(draft.edges.flatMap(({ from, to, pattern }) => (pattern === "peers" ? [from, to] : [to])));
  const free = draft.nodes.filter((node) => node.kind !== "user" && node.kind !== "end" && !entered.has(node.name));
  const settled = free.length === 1 || draft.nodes.some((node) => node.kind === "start" || node.kind === "user");
  return settled ? undefined : declared[0]?.name;
}

function pair(from: string, to: string): string {
  return JSON.stringify([from, to]);
}
