// BullMQ in two ways its documentation shows: a flow with a job per step, and (for rows) one job that notes after each
// step how far it has come. Queue, worker and Redis are on one machine, and Redis on a socket: as near as they can be.

import { FlowProducer, Queue, Worker, type FlowJob, type Job } from "bullmq";
import { inSessions, rowOf, waitThenAddOne, type Contender, type Prepared, type Shape } from "../contender.ts";
import { startRedis } from "./redis.ts";

const QUEUE = "bench";
/** Jobs a worker has in hand at one time; 100 was faster than 16 and than 1,000. */
const CONCURRENCY = 100;

type Name = "work" | "wait" | "first" | "join" | "row";
interface Data {
  /** The run whose caller waits for this job's result. */
  readonly run?: number;
  readonly value?: number;
  readonly workers?: number;
  /** Of a job that is a whole row. */
  readonly done?: number;
  readonly steps?: number;
  readonly waits?: boolean;
}
type BenchJob = Job<Data, number, Name>;

async function inputOf(job: BenchJob): Promise<number> {
  if (job.data.value !== undefined) return job.data.value;
  return Object.values(await job.getChildrenValues<number>()).reduce((sum, value) => sum + value, 0);
}

/** One job after another: the child is done before its parent is begun. */
function rowFlow(steps: number, name: Name, run: number): FlowJob {
  let flow: FlowJob = { name, queueName: QUEUE, data: { value: 0 } };
  for (let i = 1; i < steps; i++) flow = { name, queueName: QUEUE, data: {}, children: [flow] };
  return { ...flow, data: { ...flow.data, run } };
}

function joinFlow(workers: number, value: number, run: number): FlowJob {
  const children = Array.from({ length: workers }, () => ({ name: "work", queueName: QUEUE, data: { value } }));
  return { name: "join", queueName: QUEUE, data: { run }, children };
}

async function goAlong(job: BenchJob): Promise<number> {
  const { steps = 0, waits = false } = job.data;
  let { value = 0, done = 0 } = job.data;
  for (; done < steps; done++) {
    value = waits ? await waitThenAddOne(value) : value + 1;
    await job.updateData({ ...job.data, value, done: done + 1 });
  }
  return value;
}

async function perform(job: BenchJob, flows: FlowProducer): Promise<number> {
  if (job.name === "row") return goAlong(job);
  const input = await inputOf(job);
  if (job.name === "wait") return waitThenAddOne(input);
  if (job.name === "join") return input;
  if (job.name === "first") await flows.add(joinFlow(job.data.workers ?? 0, input + 1, job.data.run ?? 0));
  return input + 1;
}

async function prepare(shape: Shape, folder: string, fsync: boolean, oneJob: boolean): Promise<Prepared> {
  const redis = await startRedis(folder, fsync);
  const connection = { path: redis.socket, maxRetriesPerRequest: null };
  const queue = new Queue<Data, number, Name>(QUEUE, { connection });
  const flows = new FlowProducer({ connection });
  const callers = new Map<number, { resolve: (value: number) => void; reject: (error: Error) => void }>();
  const worker = new Worker<Data, number, Name>(QUEUE, (job) => perform(job, flows), {
    connection,
    concurrency: CONCURRENCY,
  });
  // Told after Redis has recorded the end: the quickest way to know of it, and only where the worker is.
  worker.on("completed", ({ name, data: { run } }, result) => {
    if (run === undefined || name === "first") return;
    callers.get(run)?.resolve(result);
    callers.delete(run);
  });
  worker.on("failed", (job, error) => callers.get(job?.data.run ?? 0)?.reject(error));
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady(), flows.waitUntilReady()]);

  let runs = 0;
  const steps = rowOf(shape);
  const waits = shape.kind === "sessions";
  const runRow = async (): Promise<number> => {
    const run = ++runs;
    const ended = new Promise<number>((resolve, reject) => callers.set(run, { resolve, reject }));
    if (shape.kind === "fan-out") await queue.add("first", { value: 0, workers: shape.size, run });
    else if (oneJob) await queue.add("row", { steps, waits, run });
    else await flows.add(rowFlow(steps, waits ? "wait" : "work", run));
    return ended;
  };
  return {
    run: () => inSessions(shape, runRow),
    async close() {
      await worker.close(true);
      await Promise.all([queue.close(), flows.close()]);
      await redis.close();
    },
  };
}

function contender(oneJob: boolean, fsync: boolean): Contender {
  return {
    id: `bullmq${oneJob ? "-one-job" : ""}${fsync ? "-fsync" : ""}`,
    name: `BullMQ, ${oneJob ? "one job for all steps" : "a job per step"}, appendfsync ${fsync ? "always" : "everysec"}`,
    keeps: `every step, past ${fsync ? "loss of power" : "kill -9 of Redis"}`,
    ...(oneJob ? { without: ["fan-out"] } : {}),
    prepare: (shape, folder) => prepare(shape, folder, fsync, oneJob),
  };
}

export const bullmqContenders: readonly Contender[] = [
  contender(false, false),
  contender(false, true),
  contender(true, false),
  contender(true, true),
];
