// What a command may touch of the process around it.

export interface Io {
  /** Results. */
  out(text: string): void;
  /** Everything else. */
  err(text: string): void;
  /** To standard error as it is, without a line's end. */
  errRaw(text: string): void;
  readonly stdout: Screen;
  readonly stderr: Screen;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly cwd: string;
  /** Calls back for each SIGINT and SIGTERM. Returns the way to stop. */
  onSignal(listener: (signal: "SIGINT" | "SIGTERM") => void): () => void;
  /** Calls back before anybody else writes to standard output or error. Returns the way to stop. */
  onWrite(listener: () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

/** What can be shown there. */
export interface Screen {
  readonly isTTY: boolean;
  /** False for what is no terminal, for a dumb one, and where NO_COLOR says so. */
  readonly colours: boolean;
  /** At this moment; 80 for what is no terminal. */
  readonly columns: number;
}

export function processIo(): Io {
  let ownWrite = false;
  const write = (stream: NodeJS.WriteStream, text: string): void => {
    ownWrite = true;
    stream.write(text);
    ownWrite = false;
  };
  return {
    out: (text) => write(process.stdout, text.endsWith("\n") ? text : `${text}\n`),
    err: (text) => write(process.stderr, text.endsWith("\n") ? text : `${text}\n`),
    errRaw: (text) => write(process.stderr, text),
    stdout: screenOf(process.stdout),
    stderr: screenOf(process.stderr),
    env: process.env,
    stdin: process.stdin,
    cwd: process.cwd(),
    onSignal(listener) {
      const onInt = (): void => listener("SIGINT");
      const onTerm = (): void => listener("SIGTERM");
      process.on("SIGINT", onInt).on("SIGTERM", onTerm);
      return () => void process.off("SIGINT", onInt).off("SIGTERM", onTerm);
    },
    onWrite(listener) {
      const restore = [process.stdout, process.stderr].map((stream) =>
        beforeWrite(stream, () => {
          if (!ownWrite) listener();
        }),
      );
      return () => restore.forEach((undo) => undo());
    },
    exit: (code) => process.exit(code),
  };
}

function screenOf(stream: NodeJS.WriteStream): Screen {
  return {
    isTTY: stream.isTTY === true,
    colours: stream.isTTY === true && stream.hasColors(),
    get columns() {
      return stream.columns > 0 ? stream.columns : 80;
    },
  };
}

function beforeWrite(stream: NodeJS.WriteStream, listener: () => void): () => void {
  const write = stream.write.bind(stream) as (...args: readonly unknown[]) => boolean;
  stream.write = (...args: readonly unknown[]): boolean => {
    listener();
    return write(...args);
  };
  return () => Reflect.deleteProperty(stream, "write");
}
