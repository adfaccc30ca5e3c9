// Drawings of a topology: Mermaid for documents and chats, DOT for Graphviz. Every node and every edge appears once.

import type { EdgeData, EdgePattern, NodeData, NodeKind, TopologyData } from "./types.ts";

const MERMAID_SHAPES: Record<NodeKind, readonly [open: string, close: string]> = {
  agent: ["[", "]"],
  user: ["([", "])"],
  start: ["((", "))"],
  end: ["((", "))"],
  tool: ["[[", "]]"],
  system: ["[/", "/]"],
};
const MERMAID_ARROWS: Record<EdgePattern, string> = {
  flow: "-->",
  call: "<-->",
  reflexive: "<==>",
  conversation: "<-.->",
  peers: "---",
};

export function toMermaid(data: TopologyData): string {
  const id = new Map(data.nodes.map((node, i) => [node.name, `n${i}`]));
  const nodes = data.nodes.map((node) => {
    const [open, close] = MERMAID_SHAPES[node.kind];
    return `  ${id.get(node.name)}${open}"${mermaidText(node.name)}"${close}`;
  });
  const edges = data.edges.map((edge) => {
    const label = labelOf(edge);
    return `  ${id.get(edge.from)} ${mermaidArrow(edge)}${label === "" ? "" : `|"${mermaidText(label)}"|`} ${id.get(edge.to)}`;
  });
  const exits = (data.exitPoints ?? []).flatMap((name) => id.get(name) ?? []);
  const entry = data.entryPoint === undefined ? undefined : id.get(data.entryPoint);
  return [
    "flowchart TD",
    ...nodes,
    ...edges,
    ...(entry === undefined ? [] : ["  classDef entry stroke-width:3px", `  class ${entry} entry`]),
    ...(exits.length === 0 ? [] : ["  classDef exit stroke-dasharray:4", `  class ${exits.join(",")} exit`]),
    "",
  ].join("\n");
}

function mermaidArrow(edge: EdgeData): string {
  if (edge.type === "notify" || edge.on === "error" || edge.recovery === true) return "-.->";
  if (edge.type === "stream") return "==>";
  return edge.type === "query" ? "<-->" : MERMAID_ARROWS[edge.pattern];
}

/** Mermaid reads `#34;` as a character; anything that could end a label or start markup is written so. */
export function mermaidText(text: string): string {
  return text.replace(/["#<>&|\\`\r\n]/g, (character) => `#${character.charCodeAt(0)};`);
}

const DOT_SHAPES: Record<NodeKind, string> = {
  agent: "box",
  user: "ellipse",
  start: "circle",
  end: "doublecircle",
  tool: "component",
  system: "parallelogram",
};
const DOT_STYLES: Record<EdgePattern, string> = {
  flow: "",
  call: "dir=both",
  reflexive: 'dir=both, color="black:black"',
  conversation: "dir=both, style=dashed",
  peers: "dir=none",
};

export function toDot(data: TopologyData): string {
  const nodes = data.nodes.map((node) => `  ${dotText(node.name)} [${dotNode(node, data)}];`);
  const edges = data.edges.map((edge) => {
    const label = labelOf(edge);
    const attributes = [dotStyle(edge), label === "" ? "" : `label=${dotText(label)}`].filter((part) => part !== "");
    return `  ${dotText(edge.from)} -> ${dotText(edge.to)}${attributes.length === 0 ? "" : ` [${attributes.join(", ")}]`};`;
  });
  return ["digraph topology {", ...nodes, ...edges, "}", ""].join("\n");
}

function dotNode(node: NodeData, data: TopologyData): string {
  const parts = [`shape=${DOT_SHAPES[node.kind]}`];
  if (data.entryPoint === node.name) parts.push("penwidth=3");
  if (data.exitPoints?.includes(node.name) === true) parts.push("peripheries=2");
  return parts.join(", ");
}

function dotStyle(edge: EdgeData): string {
  if (edge.on === "error" || edge.recovery === true) return "style=dashed, color=red";
  if (edge.type === "notify") return "style=dotted";
  if (edge.type === "stream") return "style=bold";
  return edge.type === "query" ? "dir=both" : DOT_STYLES[edge.pattern];
}

function dotText(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&").replace(/\r?\n/g, "\\n")}"`;
}

function labelOf(edge: EdgeData): string {
  return [
    edge.recovery === true ? "recovery" : edge.on === "error" ? "on error" : "",
    edge.type === "invoke" ? "" : edge.type,
    edge.condition ?? (edge.else === true ? "else" : ""),
    edge.maxVisits === undefined ? "" : `at most ${edge.maxVisits}×`,
    edge.maxTurns === undefined ? "" : `${edge.maxTurns} turns`,
    edge.back === true ? "back" : "",
  ]
    .filter((part) => part !== "")
    .join(", ");
}
