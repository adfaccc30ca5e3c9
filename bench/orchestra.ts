// Orchestra through its public package: one instance per shape, one new session per run.

import { LevelStorage, OrchestraInstance, StateManager, type InstanceOptions } from "orchestra";
import { natsBus } from "orchestra/nats";
import { initAssets, R1, R1_SYNC, R3_SYNC, startServers, type Setting } from "./cluster-servers.ts";
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

async function prepare(shape: Shape, keeping: Pick<InstanceOptions, "stateManager" | "bus">): Promise<Prepared> {
  const { nodes, edges, agents } = declare(shape);
  const instance = new OrchestraInstance({
    topology: { nodes, edges },
    agents,
    ...keeping,
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
    prepare: (shape, folder) =>
      prepare(shape, { stateManager: new StateManager({ storage: new LevelStorage(folder, { durability }) }) }),
  };
}

function onNats(setting: Setting): Contender {
  return {
    id: `orchestra-${setting.id}`,
    name: `Orchestra, NATS, ${setting.name}`,
    keeps: setting.keeps,
    async prepare(shape) {
      const servers = await startServers(setting);
      await initAssets(servers.urls, setting.replicas);
      const bus = natsBus({ servers: servers.urls, syncAlways: setting.syncAlways });
      const prepared = await prepare(shape, { bus });
      return {
        run: () => prepared.run(),
        async close() {
          await prepared.close();
          await bus.close();
          await servers[Symbol.asyncDispose]();
        },
      };
    },
  };
}

/** The owner's part of a cluster: its sessions may go on elsewhere, and their steps run there. */
export const natsContenders: readonly Contender[] = [R1, R1_SYNC, R3_SYNC].map(onNats);

export const orchestraContenders: readonly Contender[] = [
  {
    id: "orchestra-memory",
    name: "Orchestra, in memory",
    keeps: "nothing",
    prepare: (shape) => prepare(shape, {}),
  },
  stored("process", "every step, past kill -9"),
  stored("disk", "every step, past loss of power"),
];
