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

/** The first of a list, as many as fit into so many bytes, and how many there are besides. */
export function shortList<T>(
  list: readonly T[],
  bytesMax: number,
): { readonly shown: readonly T[]; readonly more: number } {
  let bytes = 0;
  const fitting = list.findIndex((one) => (bytes += Buffer.byteLength(JSON.stringify(one))) > bytesMax);
  return fitting < 0 ? { shown: list, more: 0 } : { shown: list.slice(0, fitting), more: list.length - fitting };
}

const QUERY_CHARS_MAX = 200;

/** The first 200 characters; one of two halves is not cut through. */
export function shortQuery(query: string): string {
  if (query.length <= QUERY_CHARS_MAX) return query;
  const characters = [...query.slice(0, 2 * QUERY_CHARS_MAX)];
  return `${characters.slice(0, QUERY_CHARS_MAX).join("")}…`;
}
