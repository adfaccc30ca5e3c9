// Stderr tail: the last that a server process said, for the error that tells of its end.

import type { Stream } from "node:stream";
import { StringDecoder } from "node:string_decoder";

const LENGTH_MAX = 2_000;
const SECRET_LENGTH_MIN = 6;

/** Follows `stream`. What is returned gives its last 2,000 characters, with the `secrets` it repeats made unreadable. */
export function stderrTail(stream: Stream, secrets: readonly string[]): () => string {
  const longest = Math.max(0, ...secrets.map(({ length }) => length));
  const decoder = new StringDecoder("utf8");
  let tail = "";
  stream.on("data", (chunk: Buffer) => (tail = (tail + decoder.write(chunk)).slice(-(LENGTH_MAX + longest))));
  stream.on("error", () => undefined);
  return () => masked(tail, secrets).slice(-LENGTH_MAX).trim();
}

function masked(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) if (secret.length >= SECRET_LENGTH_MIN) clean = clean.replaceAll(secret, "***");
  return clean;
}
