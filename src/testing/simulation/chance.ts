// Chance: numbers that depend on nothing but what they are drawn for, so that leaving one thing out of a simulation moves
// no other.

import { seededRandom, type Random } from "../../base/random.ts";

/** 32 bits that look random, the same for the same parts. FNV-1a, finished as in MurmurHash3. */
export function mix(...parts: readonly (number | string)[]): number {
  let hash = 0x811c9dc5;
  for (const part of parts) {
    const text = typeof part === "number" ? part.toString(36) : part;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ 0x2f, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A stream of its own for one purpose. */
export function streamFor(...parts: readonly (number | string)[]): Random {
  return seededRandom(mix(...parts));
}

export function between(random: Random, min: number, max: number): number {
  return min + Math.floor(random.next() * (max - min + 1));
}

export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random.next() * items.length)];
  if (item === undefined) throw new TypeError("pick: nothing to pick from");
  return item;
}

export function chance(random: Random, probability: number): boolean {
  return random.next() < probability;
}
