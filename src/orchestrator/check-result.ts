// Check result: how one check of one iteration went.

export interface CheckResult {
  readonly name: string;
  readonly passed: boolean;
  /** Why, for whoever mends it; at most 4 KiB of its end. */
  readonly output: string;
  /** Of a command that ended by itself. */
  readonly exitCode?: number;
}

const OUTPUT_BYTES_MAX = 4_096;
/** For the mark of what was cut, and the line between. */
const ROOM_BETWEEN = 8;

/** The ends of what was written on two streams, so that neither hides the other. */
export function endingsOf(first: string, second: string): string {
  if (first.trim() === "" || second.trim() === "") return endingOf(`${first}${second}`);
  const half = OUTPUT_BYTES_MAX / 2 - ROOM_BETWEEN;
  const roomBeside = (other: string): number =>
    Math.max(half, OUTPUT_BYTES_MAX - 2 * ROOM_BETWEEN - Buffer.byteLength(other));
  return `${endingOf(first, roomBeside(second))}\n${endingOf(second, roomBeside(first))}`;
}

/** The end of a text: what failed is said last. */
export function endingOf(text: string, bytesMax = OUTPUT_BYTES_MAX): string {
  const bytes = Buffer.from(text.trimEnd());
  if (bytes.length <= bytesMax) return bytes.toString();
  // A character that was cut through reads as U+FFFD.
  const kept = bytes
    .subarray(bytes.length - bytesMax)
    .toString()
    .replace(/^\uFFFD+/, "");
  return `…${kept}`;
}
