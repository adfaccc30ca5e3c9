// Processes of the storm: started, killed, frozen, started again under the same name.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { endWithUs } from "../../test/support/leftovers.ts";
import type { ChildOptions } from "./child.ts";

export class StormProcess {
  readonly options: ChildOptions;
  readonly #program: string;
  readonly #log: string;
  #child: ChildProcess | undefined;
  #ended: Promise<number | null> = Promise.resolve(null);

  constructor(program: string, options: ChildOptions, log: string) {
    this.#program = program;
    this.options = options;
    this.#log = log;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** The code it ended with; null where a signal ended it. */
  get ended(): Promise<number | null> {
    return this.#ended;
  }

  start(): void {
    if (this.#child !== undefined) return;
    const log = openSync(this.#log, "a");
    const child = spawn(process.execPath, ["--enable-source-maps", this.#program, JSON.stringify(this.options)], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#child = child;
    const forget = child.pid === undefined ? () => undefined : endWithUs(child.pid);
    this.#ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => {
        forget();
        if (this.#child === child) this.#child = undefined;
        resolve(code);
      });
    });
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }
}
