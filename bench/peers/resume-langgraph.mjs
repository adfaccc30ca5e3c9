// LangGraph.js in the resume scenario: a thread interrupted after `steps` steps, gone on with in a new process.

import { Annotation, Command, END, interrupt, START, StateGraph } from "@langchain/langgraph";
import { SqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";

const [mode, folder, steps] = process.argv.slice(2);
const last = Number(steps);
const State = Annotation.Root({ count: Annotation() });
const saver = SqliteSaver.fromConnString(`${folder}/checkpoints.db`);
const graph = new StateGraph(State)
  .addNode("work", ({ count }) => {
    if (count === last) interrupt("paused");
    return { count: count + 1 };
  })
  .addEdge(START, "work")
  .addConditionalEdges("work", ({ count }) => (count <= last ? "work" : END), ["work", END])
  .compile({ checkpointer: saver });

const options = { configurable: { thread_id: "resumed" }, durability: "sync", recursionLimit: last + 10 };
const started = performance.now();
const state = await graph.invoke(mode === "prepare" ? { count: 0 } : new Command({ resume: true }), options);
const ms = performance.now() - started;
saver.db.close();
const expected = mode === "prepare" ? last : last + 1;
if (state.count !== expected) throw new Error(`the thread stands at ${state.count}, expected ${expected}`);
console.log(JSON.stringify({ ms }));
