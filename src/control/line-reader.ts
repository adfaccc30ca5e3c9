// Line reader: lines of a socket, none longer than a bound.

import type { Socket } from "node:net";

import { OrchestraError } from "../index.ts";

const NEWLINE = 0x0a;

/**
 * Calls back for each line as it comes; a line longer than `bytesMax` ends it with `onError`
 * (`ORCH_PAYLOAD_TOO_LARGE`). Nothing is called back after that, or after the socket has closed.
 */
export function readLines(
  socket: Socket,
  bytesMax: number,
  onLine: (line: string) => void,
  onError: (error: OrchestraError) => void,
): void {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let over = false;
  const tooLong = (): void => {
    over = true;
    held = [];
    onError(
      new OrchestraError("ORCH_PAYLOAD_TOO_LARGE", `a line of more than ${bytesMax} bytes on the control socket`),
    );
  };
  socket.on("data", (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0 && !over; end = chunk.indexOf(NEWLINE, from)) {
      if (heldBytes + end - from > bytesMax) return tooLong();
      held.push(chunk.subarray(from, end));
      const line = Buffer.concat(held).toString("utf8");
      held = [];
      heldBytes = 0;
      from = end + 1;
      onLine(line);
    }
    if (over || from === chunk.length) return;
    held.push(chunk.subarray(from));
    heldBytes += chunk.length - from;
    if (heldBytes > bytesMax) tooLong();
  });
}

/** Writes a line and resolves once the socket can take more, or has closed. */
export function writeLine(socket: Socket, text: string): Promise<void> {
  if (socket.destroyed || socket.writableEnded || socket.write(`${text}\n`)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
