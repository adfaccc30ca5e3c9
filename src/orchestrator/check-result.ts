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

/** The end of a text: what failed is said last. */
export function endingOf(text: string): string {
  const bytes = Buffer.from(text.trimEnd());
  if (bytes.length <= OUTPUT_BYTES_MAX) return bytes.toString();
  // A character that was cut through reads as U+FFFD.
  const kept = bytes
    .subarray(bytes.length - OUTPUT_BYTES_MAX)
    .toString()
    .replace(/^\uFFFD+/, "");
  return `…${kept}`;
}
