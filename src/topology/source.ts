import type { ReadTopology } from "./problems.ts";

/** How a `Topology` or a `PatternConfig` hands over what it declares. A registered symbol, so that two copies of the package understand each other. */
export const READ: unique symbol = Symbol.for("orchestra.topology.read");

export interface TopologySource {
  [READ](): ReadTopology;
}

export function isTopologySource(value: unknown): value is TopologySource {
  return typeof value === "object" && value !== null && READ in value && typeof value[READ] === "function";
}
