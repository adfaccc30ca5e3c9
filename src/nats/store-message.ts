/** A message as it is stored. */
export interface StoredMessage {
  readonly subject: string;
  /** Its sequence in the stream. */
  readonly seq: number;
  readonly data: Uint8Array;
  /** When the server stored it, by the server's clock. */
  readonly storedAtMs: number;
  /** Empty where it has no such header. */
  header(name: string): string;
}

interface RawMessage {
  readonly subject: string;
  readonly seq: number;
  readonly data: Uint8Array;
  readonly time?: Date;
  readonly header?: { get(name: string): string } | undefined;
}

export function storedOf(raw: RawMessage | null): StoredMessage | null {
  return raw === null
    ? null
    : {
        subject: raw.subject,
        seq: raw.seq,
        data: raw.data,
        storedAtMs: raw.time?.getTime() ?? 0,
        header: (name) => raw.header?.get(name) ?? "",
      };
}
