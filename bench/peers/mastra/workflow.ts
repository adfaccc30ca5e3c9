// Mastra: one workflow per shape, committed beforehand, one new run per run.

import { Mastra } from "@mastra/core";
import { createStep, createWorkflow } from "@mastra/core/workflows";
import { LibSQLStore } from "@mastra/libsql";
import { z } from "zod";
import { inSessions, rowOf, waitThenAddOne, type Prepared, type Shape } from "../../contender.ts";

const Value = z.object({ value: z.number() });
type Value = z.infer<typeof Value>;

function stepOf(id: string, work: (value: number) => number | Promise<number>) {
  return createStep({
    id,
    inputSchema: Value,
    outputSchema: Value,
    execute: async ({ inputData }: { inputData: Value }) => ({ value: await work(inputData.value) }),
  });
}

const join = createStep({
  id: "join",
  inputSchema: z.record(z.string(), Value),
  outputSchema: Value,
  execute: ({ inputData }: { inputData: Record<string, Value> }) =>
    Promise.resolve({ value: Object.values(inputData).reduce((sum, { value }) => sum + value, 0) }),
});

// Its types count the steps of a chain; a chain of any length has none.
function declare(shape: Shape): any {
  const addOne = (value: number): number => value + 1;
  const work = shape.kind === "sessions" ? waitThenAddOne : addOne;
  const workers = Array.from({ length: rowOf(shape) }, (_, i) => stepOf(`worker${i}`, work));
  let workflow: any = createWorkflow({ id: "bench", inputSchema: Value, outputSchema: Value });
  if (shape.kind === "fan-out") return workflow.then(stepOf("first", addOne)).parallel(workers).then(join).commit();
  for (const worker of workers) workflow = workflow.then(worker);
  return workflow.commit();
}

export function prepareWorkflow(shape: Shape, folder: string | undefined): Promise<Prepared> {
  const mastra = new Mastra({
    workflows: { bench: declare(shape) },
    logger: false,
    ...(folder === undefined ? {} : { storage: new LibSQLStore({ id: "bench", url: `file:${folder}/mastra.db` }) }),
  });
  const workflow = mastra.getWorkflow("bench") as any;
  const runRow = async (): Promise<number> => {
    const run = await workflow.createRun();
    const ended = await run.start({ inputData: { value: 0 } });
    if (ended.status !== "success") throw new Error(`the run is ${ended.status}`, { cause: ended.error });
    return ended.result.value;
  };
  return Promise.resolve({ run: () => inSessions(shape, runRow), close: () => Promise.resolve() });
}
