// What a command may touch of the process around it.

export interface Io {
  /** Results. */
  out(text: string): void;
  /** Everything else. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly cwd: string;
  /** Calls back for each SIGINT and SIGTERM. Returns the way to stop. */
  onSignal(listener: (signal: "SIGINT" | "SIGTERM") => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

export function processIo(): Io {
  return {
    out: (text) => void process.stdout.write(text.endsWith("\n") ? text : `${text}\n`),
    err: (text) => void process.stderr.write(text.endsWith("\n") ? text : `${text}\n`),
    env: process.env,
    stdin: process.stdin,
    cwd: process.cwd(),
    onSignal(listener) {
      const onInt = (): void => listener("SIGINT");
      const onTerm = (): void => listener("SIGTERM");
      process.on("SIGINT", onInt).on("SIGTERM", onTerm);
      return () => void process.off("SIGINT", onInt).off("SIGTERM", onTerm);
    },
    exit: (code) => process.exit(code),
  };
}
