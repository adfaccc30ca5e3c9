// node --expose-gc model.ts <calls> <waves>: steps of a model-backed agent against a model server of another process.

import { fork } from "node:child_process";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";
import { OrchestraInstance } from "orchestra";
import { modelAgent } from "orchestra/agents";

export interface ModelCosts {
  /** Of one call with one piece, one after the other. */
  readonly bareMs: readonly number[];
  readonly stepMs: readonly number[];
  /** From the server's `write` to the piece in the hands of a reader. */
  readonly bareLatencyMs: readonly number[];
  readonly eventLatencyMs: readonly number[];
  /** After each wave of agents that stream side by side, when all have ended. */
  readonly waves: readonly { readonly heapBytes: number; readonly rssBytes: number }[];
  readonly agentsAtOnce: number;
}

const AT_ONCE = 200;
const WARM_UP = 30;

const [calls = 0, waveCount = 0] = process.argv.slice(2).map(Number);
const server = fork(fileURLToPath(new URL("../../children/model-server.mjs", import.meta.url)));
const port = await new Promise<number>((resolve) => server.once("message", (message) => resolve(message as number)));
const provider = createOpenAICompatible({ name: "bench", baseURL: `http://127.0.0.1:${port}/v1`, includeUsage: true });

function instanceOf(modelId: string): OrchestraInstance {
  const M = modelAgent({ name: "M", model: provider(modelId) });
  return new OrchestraInstance({
    topology: { nodes: ["M"] },
    agents: { M },
    initialConfig: { maxConcurrency: AT_ONCE },
  });
}

const nowNs = (): bigint => process.hrtime.bigint();
const latencyOf = (piece: string): number => Number(nowNs() - BigInt(piece.trim())) / 1e6;

async function bare(modelId: string, onPiece: (piece: string) => void = () => undefined): Promise<void> {
  for await (const part of streamText({ model: provider(modelId), prompt: "go", maxRetries: 0 }).fullStream)
    if (part.type === "text-delta") onPiece(part.text);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function overhead(): Promise<Pick<ModelCosts, "bareMs" | "stepMs">> {
  await using instance = instanceOf("p1-i0");
  const bareMs: number[] = [];
  const stepMs: number[] = [];
  for (let i = -WARM_UP; i < calls; i++) {
    const one = await timed(() => bare("p1-i0"));
    const other = await timed(async () => (await instance.execute({ task: "go" })).orThrow());
    if (i < 0) continue;
    bareMs.push(one);
    stepMs.push(other);
  }
  return { bareMs, stepMs };
}

async function latency(): Promise<Pick<ModelCosts, "bareLatencyMs" | "eventLatencyMs">> {
  const modelId = `p${calls}-i5`;
  const bareLatencyMs: number[] = [];
  await bare(modelId, (piece) => bareLatencyMs.push(latencyOf(piece)));
  await using instance = instanceOf(modelId);
  const eventLatencyMs: number[] = [];
  const handle = instance.stream({ task: "go" });
  for await (const event of handle)
    if (event.type === "step.chunk" && typeof event.chunk === "string") eventLatencyMs.push(latencyOf(event.chunk));
  (await handle.result).orThrow();
  return { bareLatencyMs, eventLatencyMs };
}

async function collected(): Promise<NodeJS.MemoryUsage> {
  if (globalThis.gc === undefined) throw new TypeError("start with --expose-gc");
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await sleep(20);
  }
  return process.memoryUsage();
}

async function sideBySide(): Promise<ModelCosts["waves"]> {
  await using instance = instanceOf("p25-i20");
  const waves: { heapBytes: number; rssBytes: number }[] = [];
  for (let wave = 0; wave < waveCount; wave++) {
    const results = await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        const handle = instance.stream({ task: "go" });
        let pieces = 0;
        for await (const event of handle) if (event.type === "step.chunk") pieces++;
        return { pieces, result: (await handle.result).orThrow() };
      }),
    );
    if (results.some(({ pieces }) => pieces !== 25)) throw new Error("an agent showed less than its model said");
    await Promise.all(results.map(({ result }) => instance.deleteSession(result.sessionId)));
    const { heapUsed, rss } = await collected();
    waves.push({ heapBytes: heapUsed, rssBytes: rss });
  }
  return waves;
}

const costs: ModelCosts = {
  ...(await overhead()),
  ...(await latency()),
  waves: await sideBySide(),
  agentsAtOnce: AT_ONCE,
};
server.disconnect();
console.log(JSON.stringify(costs));
