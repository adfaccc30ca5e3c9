// Hosts as processes of their own, and what they say.

import { spawn, type ChildProcess } from "node:child_process";
import { expect } from "vitest";
import type { OrchestraInstance, RunEvent } from "../../src/index.ts";
import { until } from "../support/nats.ts";
import { childProgram } from "../support/child-program.ts";

const CHILD = await childProgram(new URL("./host-child.ts", import.meta.url));
export const STEPS = ["A", "B", "C", "D"];
export const LINE = { nodes: STEPS, edges: ["A -> B", "B -> C", "C -> D"] };
export const LEASE_MS = 2_000;

interface Line {
  readonly name: string;
  readonly ready?: true;
  readonly drained?: true;
  readonly ran?: string;
  readonly sessionId?: string;
  readonly result?: unknown;
}

export type Spawn = (
  command: string,
  args: readonly string[],
  options: { stdio: ["ignore", "pipe", "inherit"] },
) => ChildProcess;

export class HostProcesses {
  /** What all of them have said, in order of arrival. */
  readonly said: Line[] = [];
  readonly #children: ChildProcess[] = [];
  readonly #ended: Promise<unknown>[] = [];

  start(options: { readonly name: string; readonly [option: string]: unknown }, spawnAt: Spawn = spawn): ChildProcess {
    const settings = JSON.stringify({ agents: STEPS, ...options });
    const child = spawnAt(process.execPath, [CHILD, settings], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.push(child);
    this.#ended.push(new Promise((resolve) => child.once("exit", resolve)));
    let rest = "";
    child.stdout?.on("data", (bytes: Buffer) => {
      const lines = `${rest}${bytes.toString("utf8")}`.split("\n");
      rest = lines.pop() ?? "";
      this.said.push(...lines.map((line) => JSON.parse(line) as Line));
    });
    return child;
  }

  ready(...names: readonly string[]): Promise<void> {
    return until(`${names.join(" and ")} serve`, () =>
      names.every((name) => this.said.some((line) => line.name === name && line.ready)),
    );
  }

  ran(name: string, step: string): boolean {
    return this.said.some((line) => line.name === name && line.ran === step);
  }

  async kill(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#ended);
  }
}

export async function logged(client: OrchestraInstance, sessionId: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of client.events(sessionId, { untilNow: true })) events.push(event);
  return events;
}

/** Each step entered the run once, in order, whatever ran twice. */
export async function expectWhole(client: OrchestraInstance, sessionId: string): Promise<void> {
  const succeeded = (await logged(client, sessionId)).filter(({ type }) => type === "step.succeeded");
  expect(succeeded.map((event) => "node" in event && event.node)).toEqual(STEPS);
}
