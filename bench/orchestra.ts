// Orchestra through its public package: one instance per shape, one new session per run.

import { LevelStorage, OrchestraInstance, StateManager } from "orchestra";
import { inSessions, rowOf, waitThenAddOne, type Contender, type Prepared, type Shape } from "./contender.ts";

interface Arrival {
  readonly value: number;
}

type Agent = (input: any) => number | Promise<number>;

const addOne = (input: number): number => input + 1;
const first = (input: { readonly value: number }): number => addOne(input.value);
const waitFirst = (input: { readonly value: number }): Promise<number> => waitThenAddOne(input.value);
const addUp = (arrivals: readonly Arrival[]): number => arrivals.reduce((sum, arrival) => sum + arrival.value, 0);

function declare(shape: Shape): { nodes: string[]; edges: string[]; agents: Record<string, Agent> } {
  const waits = shape.kind === "sessions";
  const workers = Array.from({ length: rowOf(shape) }, (_, i) => `Worker${i}`);
  const agents: Record<string, Agent> = Object.fromEntries(
    workers.map((name) => [name, waits ? waitThenAddOne : addOne]),
  );
  if (shape.kind !== "fan-out") {
    const edges = workers.slice(1).map((name, i) => `Worker${i} -> ${name}`);
    return { nodes: workers, edges, agents: { ...agents, Worker0: waits ? waitFirst : first } };
  }
  const edges = workers.flatMap((name) => [`First -> ${name}`, `${name} -> Join`]);
  return { nodes: ["First", ...workers, "Join"], edges, agents: { ...agents, First: first, Join: addUp } };
}

async function prepare(shape: Shape, stateManager: StateManager | undefined): Promise<Prepared> {
  const { nodes, edges, agents } = declare(shape);
  const instance = new OrchestraInstance({
    topology: { nodes, edges },
    agents,
    ...(stateManager === undefined ? {} : { stateManager }),
  });
  const runRow = async (): Promise<number> => {
    const result = await instance.execute({ task: { value: 0 }, maxSteps: 2_000 });
    return result.orThrow().finalResponse as number;
  };
  return { run: () => inSessions(shape, runRow), close: () => instance.close() };
}

function stored(durability: "process" | "disk", keeps: string): Contender {
  return {
    id: `orchestra-${durability}`,
    name: `Orchestra, LevelDB, \`${durability}\``,
    keeps,
    prepare: (shape, folder) => prepare(shape, new StateManager({ storage: new LevelStorage(folder, { durability }) })),
  };
}

export const orchestraContenders: readonly Contender[] = [
  {
    id: "orchestra-memory",
    name: "Orchestra, in memory",
    keeps: "nothing",
    prepare: (shape) => prepare(shape, undefined),
  },
  stored("process", "every step, past kill -9"),
  stored("disk", "every step, past loss of power"),
];
