import { randomBytes } from "node:crypto";

/** The only source of chance. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
}

const POOL_BYTES = 6 * 1024;

/** The machine's own. Drawn from a pool, because a call into the system's generator costs more than what it gives. */
export function systemRandom(): Random {
  let pool = Buffer.alloc(0);
  let at = 0;
  return {
    next() {
      if (at === pool.length) {
        pool = randomBytes(POOL_BYTES);
        at = 0;
      }
      at += 6;
      return pool.readUIntBE(at - 6, 6) / 2 ** 48;
    },
  };
}

/** A repeatable stream: the same seed gives the same numbers. sfc32 by Chris Doty-Humphrey, PractRand. */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9 | 0;
  let b = 0x243f6a88 | 0;
  let c = seed | 0;
  let counter = Math.floor(seed / 2 ** 32) | 1;
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) next();
  return { next };
}
