// Stderr tail: the last that a server process said, for the error that tells of its end.

import type { Stream } from "node:stream";
import { StringDecoder } from "node:string_decoder";

import type { SecretMask } from "../command/secret-mask.ts";

const LENGTH_MAX = 2_000;

/** Follows `stream`. What is returned gives its last 2,000 characters, masked. */
export function stderrTail(stream: Stream, mask: SecretMask): () => string {
  const decoder = new StringDecoder("utf8");
  const masked = mask.stream();
  let tail = "";
  stream.on("data", (chunk: Buffer) => (tail = (tail + masked.write(decoder.write(chunk))).slice(-LENGTH_MAX)));
  stream.on("error", () => undefined);
  return () => tail.trim();
}
