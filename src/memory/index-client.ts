// Index client: the thread that builds and searches approximate indexes, as seen from outside it.

import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { indexThread, type IndexAnswer, type IndexRequest, type ThreadSettings } from "./index-thread.ts";

export const THREAD_SETTINGS: ThreadSettings = Object.freeze({
  links: 16,
  efConstruction: 200,
  efs: [64, 128, 256, 512, 1024],
  // What is measured on samples may be a little better than the rest.
  recallAimed: 0.97,
  samples: 50,
});

type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;

interface Waiting {
  readonly resolve: (answer: IndexAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class IndexClient {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #nextIndex = 1;
  #failure: Error | null = null;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.unref();
    worker.on("message", (answer: IndexAnswer) => this.#answered(answer));
    worker.on("error", (error) => this.#fail(error));
    worker.on("exit", () => this.#fail(new Error("the thread of the index has ended")));
  }

  /** Rejects with why where `hnswlib-node` is not installed, or was not built for this machine. */
  static async start(settings: ThreadSettings = THREAD_SETTINGS): Promise<IndexClient> {
    const hnswlib = createRequire(import.meta.url).resolve("hnswlib-node");
    const client = new IndexClient(new Worker(SOURCE, { eval: true, execArgv: [], workerData: { hnswlib, settings } }));
    try {
      // Answered once hnswlib has been loaded.
      await client.ask({ type: "drop", index: 0 });
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  get failure(): Error | null {
    return this.#failure;
  }

  newIndex(): number {
    return this.#nextIndex++;
  }

  /** Rejects when it fails, or the thread ends before. While somebody waits the process stays. */
  async ask(request: WithoutId<IndexRequest>): Promise<IndexAnswer> {
    if (this.#failure !== null) throw this.#failure;
    const id = this.#nextId++;
    if (this.#waiting.size === 0) this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id });
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #answered(answer: IndexAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (answer.type === "failed") waiting?.reject(new Error(answer.message));
    else waiting?.resolve(answer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

const SOURCE = `
const { parentPort, workerData } = require("node:worker_threads");
(${indexThread.toString()})(
  {
    port: parentPort,
    hnswlib: require(workerData.hnswlib),
    fs: require("node:fs"),
    crc32: require("node:zlib").crc32,
  },
  workerData.settings,
);
`;
