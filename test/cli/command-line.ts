// The command line as a test uses it: in a folder of its own, as a process like a user's, or within the test where
// what matters is what is printed and not that it is a process.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";

import { afterEach, beforeEach } from "vitest";

import type { Io } from "../../src/cli/io.ts";
import { runCli } from "../../src/cli/program.ts";
import { ROOT } from "../package/project.ts";

export const MAIN = join(ROOT, "dist/cli/main.js");

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A program under way. */
export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves once standard error holds the text. @throws when it ends before. */
  says(text: string): Promise<void>;
}

export interface Place {
  folder: string;
  /** Writes a file there; gives its name. */
  file(name: string, text: string): string;
  /** A process of its own. */
  start(args: readonly string[], options?: { input?: string | "open"; env?: Record<string, string> }): Started;
  /** Within this process, as if no terminal were there. */
  call(args: readonly string[], options?: { input?: string }): Promise<Ended>;
}

const screen = { isTTY: false, colours: false, columns: 80 };
/** The part of `Io` that matters at a terminal only. */
export const NO_TERMINAL = {
  errRaw: () => undefined,
  stdout: screen,
  stderr: screen,
  onWrite: () => () => undefined,
} satisfies Partial<Io>;

/** A fresh folder for each test of the file. Processes a test leaves behind are killed. */
export function place(): Place {
  const children = new Set<ChildProcess>();
  const made: Place = {
    folder: "",
    file(name, text) {
      writeFileSync(join(made.folder, name), text);
      return name;
    },
    start(args, { input = "", env = {} } = {}) {
      const child = spawn(process.execPath, [MAIN, ...args], {
        cwd: made.folder,
        env: { PATH: process.env["PATH"] ?? "", ...env },
      });
      children.add(child);
      if (input !== "open") child.stdin.end(input);
      return watched(child);
    },
    async call(args, { input = "" } = {}) {
      let [out, err] = ["", ""];
      const stdin = new PassThrough();
      stdin.end(input);
      const io: Io = {
        ...NO_TERMINAL,
        out: (text) => void (out += text.endsWith("\n") ? text : `${text}\n`),
        err: (text) => void (err += text.endsWith("\n") ? text : `${text}\n`),
        errRaw: (text) => void (err += text),
        env: {},
        stdin,
        cwd: made.folder,
        onSignal: () => () => undefined,
        exit: () => undefined,
      };
      const code = await runCli(args, io);
      return { code, out, err };
    },
  };
  beforeEach(() => {
    made.folder = mkdtempSync(join(tmpdir(), "orchestra-cli-"));
  });
  afterEach(() => {
    for (const child of children) child.kill("SIGKILL");
    children.clear();
    rmSync(made.folder, { recursive: true, force: true });
  });
  return made;
}

function watched(child: ChildProcess): Started {
  let [out, err] = ["", ""];
  const listeners = new Set<() => void>();
  child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => {
    err += chunk.toString();
    for (const listener of listeners) listener();
  });
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, out, err })));
  return {
    child,
    ended,
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!err.includes(text)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        void ended.then(() => reject(new Error(`it ended without saying ${JSON.stringify(text)}: ${err}`)));
        look();
      }),
  };
}

/** Runs until a question is answered: `Asker` asks "really?". */
export const ASKING = `
  import { next } from "orchestra";
  export default {
    topology: { nodes: ["Asker"] },
    agents: { Asker: (input, ctx) => (ctx.question ? "you said " + input : next.ask("really?")) },
  };`;

/** `A` says so on standard error and works until the file \`go\` is there; `B` shouts. */
export const SLOW = `
  import { existsSync } from "node:fs";
  import { setTimeout as sleep } from "node:timers/promises";
  export default {
    topology: { nodes: ["A", "B"], edges: ["A -> B"] },
    agents: {
      A: async (task, { signal }) => {
        console.error("A works");
        while (!existsSync("go") && !signal.aborted) await sleep(10);
        return task + "a";
      },
      B: (text) => text.toUpperCase(),
    },
  };`;
