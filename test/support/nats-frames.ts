// The text protocol between a NATS client and its server, cut into frames.
// https://docs.nats.io/reference/reference-protocols/nats-protocol

export interface NatsFrame {
  /** In capitals: `MSG`, `HMSG`, `PUB`, `HPUB`, `INFO`, `PING`, … */
  readonly verb: string;
  /** What follows the verb on its line. */
  readonly args: readonly string[];
  /** Of messages and publishes. */
  readonly subject?: string;
  readonly replyTo?: string;
  /** The block `NATS/1.0…`, of `HMSG` and `HPUB`. */
  readonly headers?: string;
  readonly payload?: Buffer;
  /** The whole frame, as it goes over the wire. */
  readonly bytes: Buffer;
}

const CRLF = Buffer.from("\r\n");

/** Takes the bytes of one direction as they come, in pieces of any size, and gives the frames that are complete. */
export class NatsFrames {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): readonly NatsFrame[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const frames: NatsFrame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): NatsFrame | undefined {
    const lineEnd = this.#rest.indexOf(CRLF);
    if (lineEnd < 0) return undefined;
    const line = this.#rest.toString("utf8", 0, lineEnd);
    const [, word = "", tail = ""] = /^(\S*)\s*(.*)$/s.exec(line) ?? [];
    const verb = word.toUpperCase();
    const args = verb === "INFO" || verb === "CONNECT" || verb === "-ERR" ? [tail] : tail.split(/\s+/).filter(Boolean);
    const sizes = bodySizes(verb, args);
    const bodyStart = lineEnd + CRLF.length;
    const end = sizes === undefined ? bodyStart : bodyStart + sizes.total + CRLF.length;
    if (this.#rest.length < end) return undefined;
    const bytes = this.#rest.subarray(0, end);
    this.#rest = this.#rest.subarray(end);
    if (sizes === undefined) return { verb, args, bytes };
    const body = bytes.subarray(bodyStart, bodyStart + sizes.total);
    const replyTo = replySubject(verb, args);
    return {
      verb,
      args,
      bytes,
      subject: args[0]!,
      payload: body.subarray(sizes.headers),
      ...(replyTo === undefined ? {} : { replyTo }),
      ...(sizes.headers === 0 ? {} : { headers: body.toString("utf8", 0, sizes.headers) }),
    };
  }
}

/** `MSG subject sid [reply] size`, `HMSG subject sid [reply] headers total`, `PUB subject [reply] size`, `HPUB subject [reply] headers total`. */
function bodySizes(verb: string, args: readonly string[]): { headers: number; total: number } | undefined {
  if (!["MSG", "HMSG", "PUB", "HPUB"].includes(verb)) return undefined;
  return { headers: verb.startsWith("H") ? Number(args.at(-2)) : 0, total: Number(args.at(-1)) };
}

function replySubject(verb: string, args: readonly string[]): string | undefined {
  const without = { MSG: 3, HMSG: 4, PUB: 2, HPUB: 3 }[verb];
  if (without === undefined || args.length <= without) return undefined;
  return verb.endsWith("MSG") ? args[2] : args[1];
}
