// A real terminal for a test: a program behind a pseudo-terminal, and somebody who reads it and types.

import { spawn, type IPty } from "@lydell/node-pty";

import { MAIN } from "./command-line.ts";

export interface Terminal {
  /** All that was written to it, control sequences included. */
  readonly raw: string;
  /** What stands on its lines now, as a terminal of endless height would show it. */
  readonly shown: string;
  type(text: string): void;
  /** Resolves once it shows the text. @throws when the program ends before. */
  shows(text: string): Promise<void>;
  readonly ended: Promise<number>;
  kill(): void;
}

export interface TerminalOptions {
  readonly cwd: string;
  readonly columns?: number;
  readonly env?: Record<string, string>;
}

export const CTRL_C = "\u0003";

/** The command line at a terminal. */
export function terminal(args: readonly string[], options: TerminalOptions): Terminal {
  return open(process.execPath, [MAIN, ...args], options);
}

/** Any program at a terminal. */
export function open(
  file: string,
  args: readonly string[],
  { cwd, columns = 120, env = {} }: TerminalOptions,
): Terminal {
  const pty: IPty = spawn(file, [...args], {
    cols: columns,
    rows: 50,
    cwd,
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm-256color", ...env },
  });
  let raw = "";
  const listeners = new Set<() => void>();
  pty.onData((data) => {
    raw += data;
    for (const listener of listeners) listener();
  });
  const ended = new Promise<number>((resolve) =>
    pty.onExit(({ exitCode, signal }) => resolve(signal ? 128 + signal : exitCode)),
  );
  return {
    get raw() {
      return raw;
    },
    get shown() {
      return render(raw, columns);
    },
    type: (text) => pty.write(text),
    shows: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!render(raw, columns).includes(text)) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        void ended.then(() => {
          look();
          reject(new Error(`it ended without showing ${JSON.stringify(text)}: ${render(raw, columns)}`));
        });
        look();
      }),
    ended,
    kill: () => pty.kill("SIGKILL"),
  };
}

/** The lines a terminal of that width shows: carriage returns, erasing and moving along the line are followed, colours dropped. */
export function render(raw: string, columns: number): string {
  const rows: string[][] = [[]];
  let [row, column] = [0, 0];
  const put = (letter: string): void => {
    if (column >= columns) [row, column] = [row + 1, 0];
    const line = (rows[row] ??= []);
    while (line.length < column) line.push(" ");
    line[column++] = letter;
  };
  // oxlint-disable-next-line no-control-regex
  for (const [part] of raw.matchAll(/\u001b\[[0-9;?]*[A-Za-z]|\u001b\][^\u0007]*\u0007|\u001b.|[^]/gu)) {
    if (part === "\r") column = 0;
    else if (part === "\n") row++;
    else if (part === "\b") column = Math.max(0, column - 1);
    else if (part === "\u0007") continue;
    else if (!part.startsWith("\u001b")) put(part);
    else if (part.endsWith("K")) rows[row] = part.includes("2") ? [] : (rows[row] ?? []).slice(0, column);
    else if (part.endsWith("J")) rows.splice(row, rows.length, (rows[row] ?? []).slice(0, column));
    else if (part.endsWith("G")) column = (Number.parseInt(part.slice(2), 10) || 1) - 1;
    else if (part.endsWith("D")) column = Math.max(0, column - (Number.parseInt(part.slice(2), 10) || 1));
    else if (part.endsWith("C")) column += Number.parseInt(part.slice(2), 10) || 1;
    else if (part.endsWith("A")) row = Math.max(0, row - (Number.parseInt(part.slice(2), 10) || 1));
    else if (part.endsWith("B")) row += Number.parseInt(part.slice(2), 10) || 1;
    rows[row] ??= [];
  }
  return rows
    .map((line) =>
      Array.from(line, (letter) => letter ?? " ")
        .join("")
        .trimEnd(),
    )
    .join("\n");
}
