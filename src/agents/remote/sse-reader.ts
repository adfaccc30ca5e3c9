// SSE reader: server-sent events out of bytes as they come, by the HTML standard (section 9.2.6), with a bound on each.

import { StringDecoder } from "node:string_decoder";

import { OrchestraError } from "../../base/errors.ts";

export interface SseFrame {
  /** `message` where the stream names none. */
  readonly event: string;
  /** Lines of data joined by a newline. */
  readonly data: string;
}

export class SseReader {
  readonly #frameBytesMax: number;
  readonly #decoder = new StringDecoder("utf8");
  /** The line that has not ended yet, in the pieces it came in. */
  #pieces: string[] = [];
  #afterReturn = false;
  #begun = false;
  #event = "";
  #data: string[] = [];
  /** Of the frame that has not ended yet. */
  #bytes = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /**
   * The frames that end in this piece. What has not ended when the stream does is no frame.
   *
   * @throws {OrchestraError} `ORCH_PAYLOAD_TOO_LARGE` for a frame, or a line, above the bound.
   */
  push(piece: Uint8Array): SseFrame[] {
    const frames: SseFrame[] = [];
    let text = this.#decoder.write(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    if (!this.#begun && text !== "") {
      this.#begun = true;
      if (text.startsWith("\uFEFF")) text = text.slice(1);
    }
    if (this.#afterReturn && text !== "") {
      this.#afterReturn = false;
      if (text.startsWith("\n")) text = text.slice(1);
    }
    let from = 0;
    for (const end of text.matchAll(/\r\n|\n|\r/g)) {
      this.#take(text.slice(from, end.index));
      from = end.index + end[0].length;
      const frame = this.#endLine();
      if (frame !== undefined) frames.push(frame);
    }
    if (from < text.length) this.#take(text.slice(from));
    this.#afterReturn ||= text.endsWith("\r");
    return frames;
  }

  #take(piece: string): void {
    this.#bytes += Buffer.byteLength(piece);
    if (this.#bytes > this.#frameBytesMax) {
      throw new OrchestraError(
        "ORCH_PAYLOAD_TOO_LARGE",
        `event of the stream: at least ${this.#bytes} bytes, the limit is ${this.#frameBytesMax}`,
        { details: { bytes: this.#bytes, bytesMax: this.#frameBytesMax } },
      );
    }
    this.#pieces.push(piece);
  }

  #endLine(): SseFrame | undefined {
    const line = this.#pieces.join("");
    this.#pieces = [];
    if (line === "") return this.#endFrame();
    const colon = line.indexOf(":");
    const [name, rest] = colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1)];
    const value = rest.startsWith(" ") ? rest.slice(1) : rest;
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    // A comment keeps the connection alive and belongs to no frame.
    else if (name === "") this.#bytes -= Buffer.byteLength(line);
    return undefined;
  }

  #endFrame(): SseFrame | undefined {
    const [event, data] = [this.#event, this.#data];
    this.#event = "";
    this.#data = [];
    this.#bytes = 0;
    return data.length === 0 ? undefined : { event: event === "" ? "message" : event, data: data.join("\n") };
  }
}
