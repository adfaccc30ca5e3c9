// Trace file
//
// Owns:      one file of events, one JSON object per line, and what waits to be written into it.
// Crossing:  observe() → line → buffer → file.
//
// F1  A run never waits for the file, nor fails by it: what cannot be written is kept up to `bufferBytesMax`, then counted.
// F2  The file has whole lines only: one that could not be written whole is taken out again. Whoever else writes to the
//     file appends as well, so neither's lines are lost.
// F3  What was lost is said: to the logger at once, and in the file, by a line `trace.lost`, when it can be written again.

import { mkdir, open, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";

import { systemClock, type Clock } from "../base/clock.ts";
import { errorToData } from "../base/error-data.ts";
import { OrchestraError, type ErrorData } from "../base/errors.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import type { RunEvent } from "../runtime/engine-api.ts";

export interface TraceFileOptions {
  /** Writes what agents emit, too (`step.chunk`). Default false: models emit every token. */
  readonly chunks?: boolean;
  /** Bytes that wait at most while the disk cannot be written; what comes beyond is lost, and counted. Default 16 MiB. */
  readonly bufferBytesMax?: number;
  /** Told when it cannot be written, and when it can be again. Default: standard error, one line each. */
  readonly logger?: Logger;
  readonly clock?: Clock;
}

const DEFAULT_BUFFER_BYTES_MAX = 16 * 1024 * 1024;
const RETRY_MS = 1_000;
const WRITE_BYTES_MAX = 1024 * 1024;

/**
 * An observer that appends every event to the file at `path`, one line of JSON each: `observers: [traceFile("trace.jsonl")]`. It is made
 * where it does not exist, with its folders. `flush` or `close` it before the process ends.
 *
 * @throws {OrchestraError} `ORCH_BAD_OPTION`
 */
export function traceFile(path: string, options: TraceFileOptions = {}): TraceFile {
  const { bufferBytesMax = DEFAULT_BUFFER_BYTES_MAX } = options;
  if (typeof path !== "string" || path === "")
    throw new OrchestraError("ORCH_BAD_OPTION", "traceFile: path: expected a non-empty string");
  if (!Number.isInteger(bufferBytesMax) || bufferBytesMax < 1)
    throw new OrchestraError(
      "ORCH_BAD_OPTION",
      `traceFile: bufferBytesMax: expected a whole number from 1, got ${String(bufferBytesMax)}`,
    );
  return new TraceFile(path, { ...options, bufferBytesMax });
}

export class TraceFile implements AsyncDisposable {
  readonly path: string;
  readonly #chunks: boolean;
  readonly #bufferBytesMax: number;
  readonly #logger: Logger;
  readonly #clock: Clock;
  #lines: Buffer[] = [];
  #bytes = 0;
  #lost = 0;
  /** Of those, not yet told of in the file. */
  #untold = 0;
  #failure: ErrorData | undefined;
  #file: FileHandle | undefined;
  /** What is being written: where it begins, and how far it came. */
  #part = { from: 0, bytes: 0 };
  #writing: Promise<void> | undefined;
  #cancelRetry: (() => void) | undefined;
  #closed = false;

  /** Use `traceFile`, which checks the options. */
  constructor(path: string, options: TraceFileOptions & { readonly bufferBytesMax: number }) {
    this.path = path;
    this.#chunks = options.chunks ?? false;
    this.#bufferBytesMax = options.bufferBytesMax;
    this.#logger = options.logger ?? standardError;
    this.#clock = options.clock ?? systemClock({ unref: true });
  }

  /** Events that are in no file, and never will be. */
  get lost(): number {
    return this.#lost;
  }

  /** Why it cannot be written now; undefined while it can. */
  get failure(): ErrorData | undefined {
    return this.#failure;
  }

  observe(event: RunEvent): void {
    if (event.type === "step.chunk" && !this.#chunks) return;
    this.#add(lineOf(event));
  }

  /** Writes what waits. Resolves when that is done, or has failed: `failure` says which. */
  async flush(): Promise<void> {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    await this.#writing;
    if (this.#lines.length > 0 || this.#untold > 0) await this.#write();
  }

  /** Flushes, and closes the file. What waits after that is lost, and said to be. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.flush();
    this.#cancelRetry?.();
    const left = this.#lines.length;
    if (left > 0) {
      this.#lost += left;
      this.#lines = [];
      this.#logger.error(
        { path: this.path, lost: this.#lost },
        "a trace file is closed with events that could not be written",
      );
    }
    await this.#file?.close();
    this.#file = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #add(line: Buffer): void {
    if (this.#closed || this.#bytes + line.length > this.#bufferBytesMax) {
      if (this.#untold === 0)
        this.#logger.error(
          { path: this.path, failure: this.#failure },
          "a trace file loses events: too many wait to be written",
        );
      this.#lost++;
      this.#untold++;
      return;
    }
    this.#lines.push(line);
    this.#bytes += line.length;
    if (this.#failure === undefined) void this.#write();
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    // What comes in the same moment goes in one write.
    await Promise.resolve();
    try {
      this.#file ??= await this.#open();
      while (this.#lines.length > 0 || this.#untold > 0) await this.#writeSome(this.#file);
      if (this.#failure === undefined) return;
      this.#failure = undefined;
      this.#logger.info({ path: this.path, lost: this.#lost }, "a trace file can be written again");
    } catch (error) {
      this.#failed(errorToData(error));
      await this.#takeOutPart();
    }
  }

  async #writeSome(file: FileHandle): Promise<void> {
    const untold = this.#untold;
    const told = untold === 0 ? [] : [lineOf({ type: "trace.lost", events: untold, at: this.#clock.nowMs() })];
    let count = 0;
    let bytes = 0;
    while (count < this.#lines.length && bytes < WRITE_BYTES_MAX) bytes += this.#lines[count++]?.length ?? 0;
    // What was lost came after what waits.
    const isAll = count === this.#lines.length;
    const piece = Buffer.concat([...this.#lines.slice(0, count), ...(isAll ? told : [])]);
    this.#part = { from: (await file.stat()).size, bytes: 0 };
    while (this.#part.bytes < piece.length)
      this.#part.bytes += (await file.write(piece, this.#part.bytes)).bytesWritten;
    this.#lines.splice(0, count);
    this.#bytes -= bytes;
    if (isAll) this.#untold -= untold;
  }

  async #open(): Promise<FileHandle> {
    await mkdir(dirname(this.path), { recursive: true });
    const file = await open(this.path, "a+");
    const { size } = await file.stat();
    if (size > 0 && !(await endsWithLine(file, size))) this.#lines.unshift(Buffer.from("\n"));
    return file;
  }

  #failed(failure: ErrorData): void {
    if (this.#failure?.code !== failure.code)
      this.#logger.error({ path: this.path, failure }, "a trace file cannot be written; its events wait");
    this.#failure = failure;
    if (this.#closed) return;
    this.#cancelRetry = this.#clock.setTimer(RETRY_MS, () => void this.#write());
  }

  /** F2 */
  async #takeOutPart(): Promise<void> {
    const { from, bytes } = this.#part;
    this.#part = { from, bytes: 0 };
    // Behind another's lines it cannot be taken out.
    const size = bytes === 0 ? undefined : (await this.#file?.stat().catch(() => undefined))?.size;
    if (size === from + bytes) await this.#file?.truncate(from).catch(() => undefined);
  }
}

async function endsWithLine(file: FileHandle, size: number): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === 0x0a;
}

// Values of users may hold what JSON has no word for.
function lineOf(value: object): Buffer {
  const text = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return String(part);
    if (part instanceof Uint8Array) return { $bytes: Buffer.from(part).toString("base64") };
    if (part instanceof Map) return { $map: [...part] };
    return part instanceof Set ? { $set: [...part] } : part;
  });
  return Buffer.from(`${text}\n`);
}

const standardError: Logger = {
  ...silentLogger,
  warn: (fields, message) => void process.stderr.write(`${message}: ${JSON.stringify(fields)}\n`),
  error: (fields, message) => void process.stderr.write(`${message}: ${JSON.stringify(fields)}\n`),
};
