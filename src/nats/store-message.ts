/** A message as it is stored. */
export interface StoredMessage {
  readonly subject: string;
  /** Its sequence in the stream. */
  readonly seq: number;
  readonly data: Uint8Array;
  /** When the server stored it, by the server's clock. */
  readonly storedAtMs: number;
  /**
   * The server put it there itself: somebody asked it for a stored message and named this subject for the answer. It says
   * what that somebody likes, headers included, whatever he may publish.
   */
  readonly isAnswer: boolean;
  /** Empty where it has no such header. */
  header(name: string): string;
}

/** Headers of a message. */
export interface HeaderFields {
  get(name: string): string;
  values(name: string): string[];
}

interface RawMessage {
  readonly subject: string;
  readonly seq: number;
  readonly data: Uint8Array;
  readonly time?: Date;
  readonly header?: HeaderFields | undefined;
}

/** Written by the server to what it answers direct requests with (ADR-31), behind what the message had. */
const FROM_STREAM_HEADER = "Nats-Stream";

/** Of a message as its stream keeps it. */
export function isAnswer(headers: HeaderFields | undefined): boolean {
  return (headers?.values(FROM_STREAM_HEADER).length ?? 0) > 0;
}

/** `direct`: read by a direct request, which leaves the server's mark on every message. */
export function storedOf(raw: RawMessage | null, direct: "direct" | "" = ""): StoredMessage | null {
  return raw === null
    ? null
    : {
        subject: raw.subject,
        seq: raw.seq,
        data: raw.data,
        storedAtMs: raw.time?.getTime() ?? 0,
        isAnswer: direct === "direct" ? (raw.header?.values(FROM_STREAM_HEADER).length ?? 0) > 1 : isAnswer(raw.header),
        header: (name) => raw.header?.get(name) ?? "",
      };
}
