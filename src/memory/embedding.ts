// Embedding: vectors of texts, as checked.

import { OrchestraError } from "../base/errors.ts";
import { breathe } from "./pace.ts";
import type { EmbedOptions, Embedder } from "./ports.ts";
import { unitVector } from "./vectors.ts";

/** Texts to an embedder at a time. */
const PAGE = 100;

/**
 * Vectors of unit length, one per text, in order. `dimensions`: as pinned, or null where the first vector says it.
 *
 * @throws {OrchestraError} `ORCH_MEMORY_EMBEDDER` for what are no such vectors; whatever the embedder throws; and the reason of
 *   the signal, whether the embedder heeds it or not.
 */
export async function embedTexts(
  embedder: Embedder,
  texts: readonly string[],
  pinned: number | null,
  options: { readonly [K in keyof EmbedOptions]: EmbedOptions[K] | undefined },
): Promise<{ readonly vectors: Float32Array[]; readonly dimensions: number }> {
  const { use = "store", rarity, signal } = options;
  const vectors: Float32Array[] = [];
  let dimensions = pinned ?? embedder.dimensions;
  for (let at = 0; at < texts.length; at += PAGE) {
    if (at > 0) await breathe();
    signal?.throwIfAborted();
    const page = texts.slice(at, at + PAGE);
    const asked = embedder.embed(page, {
      use,
      ...(rarity === undefined ? {} : { rarity }),
      ...(signal === undefined ? {} : { signal }),
    });
    const given: unknown = await (signal === undefined ? asked : unlessAborted(asked, signal));
    if (!Array.isArray(given) || given.length !== page.length)
      throw new OrchestraError(
        "ORCH_MEMORY_EMBEDDER",
        `embedder "${embedder.name}": expected ${page.length} vectors, got ${Array.isArray(given) ? given.length : typeof given}`,
      );
    for (const one of given as readonly unknown[]) {
      dimensions ??= lengthOf(one);
      vectors.push(unitVector(one, dimensions, embedder.name));
    }
  }
  return { vectors, dimensions: dimensions ?? 0 };
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function lengthOf(vector: unknown): number {
  return vector instanceof Float32Array || Array.isArray(vector) ? Math.max(1, vector.length) : 1;
}
