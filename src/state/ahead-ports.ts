// What the write-ahead asks of files.

/** One file, open for writing. All but `sync` are done, or have thrown, when they return. */
export interface AheadFile {
  /** How many of the bytes were taken. */
  write(bytes: Uint8Array, position: number): number;
  truncate(length: number): void;
  /** Resolves once what was written, and the file itself, outlive a loss of power. */
  sync(): Promise<void>;
  close(): void;
}

/** The write-ahead files of folders. Every call is done, or has thrown, when it returns. */
export interface AheadFiles {
  /** Fails when the file is there. */
  create(path: string): AheadFile;
  /** In the order of their numbers. */
  list(folder: string): readonly { readonly path: string; readonly number: number }[];
  read(path: string): Buffer;
  remove(path: string): void;
}
