// LangGraph.js in the heap scenario: threads in a node that does not end, and threads that stand at an interrupt, both
// kept by MemorySaver.

import { Annotation, END, interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import type { CreateHold } from "../children/heap.ts";

const State = Annotation.Root({ value: Annotation<string>() });

export const interrupted: CreateHold = () => {
  const graph = new StateGraph(State)
    .addNode("first", ({ value }) => ({ value }))
    .addNode("ask", () => ({ value: interrupt<string, string>("Shall it go on?") }))
    .addEdge(START, "first")
    .addEdge("first", "ask")
    .addEdge("ask", END)
    .compile({ checkpointer: new MemorySaver() });
  let thread = 0;
  return async (count) => {
    const runs = Array.from({ length: count }, () =>
      graph.invoke({ value: "ask" }, { configurable: { thread_id: `thread-${++thread}` } }),
    );
    const states = await Promise.all(runs);
    if (!states.every((state) => "__interrupt__" in state)) throw new Error("a thread is not interrupted");
  };
};

export const live: CreateHold = () => {
  const held: unknown[] = [];
  let entered = 0;
  let expected = 0;
  let allEntered = (): void => undefined;
  const graph = new StateGraph(State)
    .addNode("first", ({ value }) => ({ value }))
    .addNode("wait", () => {
      if (++entered === expected) allEntered();
      // Somebody has to hold what will end the wait, or the collector takes all that waits for it.
      return new Promise<{ value: string }>((resolve) => held.push(resolve));
    })
    .addEdge(START, "first")
    .addEdge("first", "wait")
    .addEdge("wait", END)
    .compile({ checkpointer: new MemorySaver() });
  let thread = 0;
  return async (count) => {
    const standing = new Promise<void>((resolve) => (allEntered = resolve));
    expected += count;
    for (let i = 0; i < count; i++) {
      held.push(graph.invoke({ value: "wait" }, { configurable: { thread_id: `thread-${++thread}` } }));
    }
    await standing;
  };
};
