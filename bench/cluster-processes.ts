// Processes of a cluster that is measured: each is asked over a channel of its own, and answers there.

import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answer, ClusterChildOptions, Question } from "./children/cluster.ts";
import { compiledChild } from "./children.ts";

const ANSWER_MS = 120_000;

export interface ClusterProcess {
  readonly pid: number;
  /** @throws an `Error` when it says it failed, ends, or takes two minutes. */
  ask<T extends Question["type"]>(question: Extract<Question, { type: T }>): Promise<Extract<Answer, { to: T }>>;
  kill(): Promise<void>;
}

/** Resolves once it stands on the bus. `flags` are Node's. */
export async function startProcess(
  options: ClusterChildOptions,
  flags: readonly string[] = [],
): Promise<ClusterProcess> {
  const file = fileURLToPath(new URL(await compiledChild("cluster.ts"), import.meta.url));
  const child = spawn(process.execPath, [...flags, file, JSON.stringify(options)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const ask: ClusterProcess["ask"] = async (question) => {
    const answered = answerOf(child, question.type);
    child.send(question);
    return answered;
  };
  const process_: ClusterProcess = {
    pid: child.pid ?? 0,
    ask,
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
  try {
    await ask({ type: "open" });
    return process_;
  } catch (error) {
    await process_.kill();
    throw error;
  }
}

function answerOf<T extends Question["type"]>(child: ChildProcess, to: T): Promise<Extract<Answer, { to: T }>> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => done(() => reject(new Error(`no answer to "${to}" in ${ANSWER_MS} ms`))), ANSWER_MS);
    const onMessage = (answer: Answer): void => {
      if (answer.to === "failed") done(() => reject(new Error(answer.message)));
      else if (answer.to === to) done(() => resolve(answer as Extract<Answer, { to: T }>));
    };
    const onExit = (code: number | null): void => done(() => reject(new Error(`a process ended with ${code}`)));
    const done = (settle: () => void): void => {
      clearTimeout(late);
      child.off("message", onMessage);
      child.off("exit", onExit);
      settle();
    };
    child.on("message", onMessage);
    child.once("exit", onExit);
  });
}
