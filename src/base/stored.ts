/**
 * A user's value as it stands in facts and states: inline, a reference to a blob by its SHA-256 (hex), or a list
 * that the reducer made of several. The wrapper is always there, so that no value of a user can be taken for a reference.
 */
export type Stored =
  | { readonly v: unknown }
  | { readonly ref: string; readonly bytes: number }
  | { readonly list: readonly Stored[] };

export function isRef(stored: Stored): stored is { readonly ref: string; readonly bytes: number } {
  return "ref" in stored;
}

/** Values whose estimated size is above this are kept once, by content hash. */
export const INLINE_BYTES_MAX = 16 * 1024;
