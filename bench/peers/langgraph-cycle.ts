// LangGraph.js in the cycle scenario: one node with an edge to itself, the whole state in one channel each.

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { SqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";
import type { OpenCycle } from "../children/cycle.ts";

const State = Annotation.Root({ count: Annotation<number>(), text: Annotation<string>() });

export const openSqlite: OpenCycle = (folder, textOf) => {
  let end = 0;
  let onStep = (): void => undefined;
  const saver = SqliteSaver.fromConnString(`${folder}/checkpoints.db`);
  const graph = new StateGraph(State)
    .addNode("work", ({ count }) => {
      onStep();
      return { count: count + 1, text: textOf(count + 1) };
    })
    .addEdge(START, "work")
    .addConditionalEdges("work", ({ count }) => (count < end ? "work" : END), ["work", END])
    .compile({ checkpointer: saver });
  let thread = 0;
  return Promise.resolve({
    async run(steps, told) {
      end = steps;
      onStep = told;
      const configurable = { thread_id: `thread-${++thread}` };
      const options = { configurable, durability: "sync" as const, recursionLimit: steps + 10 };
      return (await graph.invoke({ count: 0, text: textOf(0) }, options)).count;
    },
    close: () => Promise.resolve(void saver.db.close()),
  });
};
