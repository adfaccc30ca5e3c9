// LangGraph.js: static edges and a joining node, the graph compiled beforehand, one new thread per run.

import { Annotation, END, MemorySaver, START, StateGraph, type BaseCheckpointSaver } from "@langchain/langgraph";
import { SqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";
import { inSessions, rowOf, waitThenAddOne, type Contender, type Prepared, type Shape } from "../contender.ts";

const State = Annotation.Root({
  value: Annotation<number>({ reducer: (_, next) => next, default: () => 0 }),
  arrived: Annotation<number[]>({ reducer: (all, more) => all.concat(more), default: () => [] }),
});
type State = typeof State.State;

/** Node names are not known to the compiler, so the graph is one over any names. */
type Graph = StateGraph<typeof State.spec, State, Partial<State>, string>;

function declare(shape: Shape): Graph {
  const graph = new StateGraph(State) as Graph;
  const workers = Array.from({ length: rowOf(shape) }, (_, i) => `worker${i}`);
  if (shape.kind !== "fan-out") {
    const addOne = ({ value }: State): Partial<State> => ({ value: value + 1 });
    const wait = async ({ value }: State): Promise<Partial<State>> => ({ value: await waitThenAddOne(value) });
    for (const name of workers) graph.addNode(name, shape.kind === "sessions" ? wait : addOne);
    workers.forEach((name, i) => graph.addEdge(workers[i - 1] ?? START, name));
    return graph.addEdge(workers.at(-1) ?? START, END) as Graph;
  }
  graph.addNode("first", ({ value }: State) => ({ value: value + 1 }));
  for (const name of workers) graph.addNode(name, ({ value }: State) => ({ arrived: [value + 1] }));
  graph.addNode("join", ({ arrived }: State) => ({ value: arrived.reduce((sum, value) => sum + value, 0) }));
  for (const name of workers) graph.addEdge("first", name);
  return graph.addEdge(START, "first").addEdge(workers, "join").addEdge("join", END) as Graph;
}

type Durability = "sync" | "async";

async function prepare(
  shape: Shape,
  checkpointer: BaseCheckpointSaver | undefined,
  durability: Durability | undefined,
  close: () => void,
): Promise<Prepared> {
  const graph = declare(shape).compile(checkpointer === undefined ? {} : { checkpointer });
  let thread = 0;
  const runRow = async (): Promise<number> => {
    const configurable = { thread_id: `thread-${++thread}` };
    const options = durability === undefined ? { configurable } : { configurable, durability };
    const state = await graph.invoke({ value: 0 }, { ...options, recursionLimit: 100 });
    return state.value;
  };
  return { run: () => inSessions(shape, runRow), close: async () => close() };
}

function sqlite(durability: Durability, keeps: string): Contender {
  return {
    id: `langgraph-sqlite-${durability}`,
    name: `LangGraph.js, SqliteSaver, durability "${durability}"`,
    keeps,
    prepare(shape, folder) {
      const saver = SqliteSaver.fromConnString(`${folder}/checkpoints.db`);
      return prepare(shape, saver, durability, () => void saver.db.close());
    },
  };
}

export const langgraphContenders: readonly Contender[] = [
  {
    id: "langgraph",
    name: "LangGraph.js, no checkpointer",
    keeps: "nothing",
    prepare: (shape) => prepare(shape, undefined, undefined, () => undefined),
  },
  {
    id: "langgraph-memory",
    name: "LangGraph.js, MemorySaver",
    keeps: "nothing",
    prepare: (shape) => prepare(shape, new MemorySaver(), undefined, () => undefined),
  },
  sqlite("async", "every superstep, past kill -9, behind the run"),
  sqlite("sync", "every superstep, past kill -9"),
];
