// Event room: how much of something fits into what a run tells. Events show an outcome of up to 16 KiB whole, and a larger
// one by its reference alone.

const PAGE_BYTES = 3_072;
const TEXT_BYTES_MAX = 6_144;
/** Of the names of a run's checks, together. */
export const NAMES_BYTES_MAX = 4_096;
/** Of keys and namespaces, and of what is kept of a commit's message. */
export const NAME_LENGTH_MAX = 500;

/** How many of the first items one page takes; at least one where there is one. */
export function fitting(items: readonly unknown[]): number {
  let bytes = 0;
  const beyond = items.findIndex((item) => (bytes += Buffer.byteLength(JSON.stringify(item))) > PAGE_BYTES);
  return beyond === -1 ? items.length : Math.max(1, beyond);
}

/** The first 6 KiB of a text. */
export function beginningOf(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= TEXT_BYTES_MAX) return text;
  // A character that was cut through reads as U+FFFD.
  return `${bytes
    .subarray(0, TEXT_BYTES_MAX)
    .toString()
    .replace(/\uFFFD+$/, "")}…`;
}
