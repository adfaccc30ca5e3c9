// Timings: where the time of a run went.

interface TimedStep {
  readonly node: string;
  readonly started: number;
  readonly ended: number;
}

export interface NodeTime {
  readonly node: string;
  readonly steps: number;
  readonly ms: number;
}

export interface Timings {
  readonly nodes: readonly NodeTime[];
  /** From the first start to the last end. */
  readonly wallMs: number;
  /** Of that, with at least one agent at work; less than the sum over the nodes where some worked side by side. */
  readonly busyMs: number;
}

/** Nodes by time spent, most first. Instants in milliseconds. */
export function timingsOf(steps: readonly TimedStep[]): Timings {
  const nodes = new Map<string, { steps: number; ms: number }>();
  for (const { node, started, ended } of steps) {
    const sum = nodes.get(node) ?? { steps: 0, ms: 0 };
    nodes.set(node, { steps: sum.steps + 1, ms: sum.ms + (ended - started) });
  }
  let busyMs = 0;
  let reached = Number.NEGATIVE_INFINITY;
  for (const { started, ended } of [...steps].sort((a, b) => a.started - b.started)) {
    busyMs += Math.max(0, ended - Math.max(started, reached));
    reached = Math.max(reached, ended);
  }
  const wallMs = steps.length === 0 ? 0 : reached - Math.min(...steps.map(({ started }) => started));
  const list = [...nodes].map(([node, sum]) => ({ node, ...sum }));
  return { nodes: list.sort((a, b) => b.ms - a.ms || (a.node < b.node ? -1 : 1)), wallMs, busyMs };
}

export function timingsTable({ nodes, wallMs, busyMs }: Timings): string {
  const row = (node: string, steps: string, ms: string): string =>
    `${node.padEnd(20)}${steps.padStart(6)}${ms.padStart(9)}`;
  return [
    row("agent", "steps", "ms"),
    ...nodes.map(({ node, steps, ms }) => row(node, String(steps), String(Math.round(ms)))),
    row("all, side by side", String(nodes.reduce((sum, { steps }) => sum + steps, 0)), String(Math.round(busyMs))),
    row("between steps", "", String(Math.round(wallMs - busyMs))),
    row("whole run", "", String(Math.round(wallMs))),
  ].join("\n");
}
