// What the memory is filled with: sentences of this project's documents, and vectors as embedding models give them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const DIMENSIONS = 384;

/** As many as vary independently: embeddings of texts fill few of their dimensions. */
const LATENT = 40;
/** How far the texts of one topic lie apart, beside how far the topics do. */
const SPREAD = 0.6;
const NOISE = 0.01;

/** mulberry32: the same figures on every machine. */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller 1958. */
function normal(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

function normals(count: number, next: () => number): Float32Array {
  return Float32Array.from({ length: count }, () => normal(next));
}

/**
 * Vectors of unit length, one after another in one array: Gaussian clouds round √count topics in 40 dimensions, laid into 384
 * at random, and a little noise.
 */
export function clusteredVectors(count: number, seed: number): Float32Array {
  const next = chance(seed);
  const basis = normals(LATENT * DIMENSIONS, next);
  const topics = Array.from({ length: Math.ceil(Math.sqrt(count)) }, () => normals(LATENT, next));
  const all = new Float32Array(count * DIMENSIONS);
  for (let i = 0; i < count; i++) {
    const topic = topics[Math.floor(next() * topics.length)] as Float32Array;
    const vector = all.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS);
    for (let at = 0; at < DIMENSIONS; at++) vector[at] = NOISE * Math.sqrt(LATENT) * (2 * next() - 1);
    for (let axis = 0; axis < LATENT; axis++) {
      const share = (topic[axis] as number) + SPREAD * normal(next);
      for (let at = 0; at < DIMENSIONS; at++)
        vector[at] = (vector[at] as number) + share * (basis[axis * DIMENSIONS + at] as number);
    }
    const length = Math.hypot(...vector);
    for (let at = 0; at < DIMENSIONS; at++) vector[at] = (vector[at] as number) / length;
  }
  return all;
}

/** Of the pages under `docs/`, without headings, tables and code. */
function sentences(): readonly string[] {
  const docs = fileURLToPath(new URL("../../../docs", import.meta.url));
  const pages = readdirSync(docs, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"));
  const found = pages.sort().flatMap((name) =>
    readFileSync(join(docs, name), "utf8")
      .replace(/^```[\s\S]*?^```/gm, "")
      .split("\n\n")
      .filter((paragraph) => !/^[#|]/.test(paragraph))
      .flatMap((paragraph) => paragraph.replace(/\s+/g, " ").split(/(?<=[.:;]) (?=[A-Z`])/)),
  );
  return [...new Set(found.map((text) => text.trim()))].filter((text) => text.length > 40);
}

/** Notes of three sentences each, no two alike. */
export function notes(count: number, seed: number): string[] {
  const from = sentences();
  const next = chance(seed);
  const pick = (): string => from[Math.floor(next() * from.length)] as string;
  const all = new Set<string>();
  while (all.size < count) all.add(`${pick()} ${pick()} ${pick()}`);
  return [...all];
}
