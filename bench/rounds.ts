// Interleaved rounds: round 1 takes A, B, C, round 2 B, C, A, and so on, so that a slow minute of the machine falls on
// all of them. A contender that fails is named in the result; the others are still measured.

import { PeerMissing } from "./contender.ts";

export interface Measured<T> {
  readonly id: string;
  readonly name: string;
  /** One per round. */
  readonly samples: T[];
  /** Why there are no more. */
  problem?: string;
  /** The problem is not that something had to be installed first. */
  failed?: boolean;
}

export async function attempt(measured: Measured<unknown>, work: () => Promise<void>): Promise<void> {
  if (measured.problem !== undefined) return;
  try {
    await work();
  } catch (error) {
    measured.problem = error instanceof Error ? error.message : String(error);
    measured.failed = !(error instanceof PeerMissing);
    process.stderr.write(`\n${measured.id}: ${measured.problem}\n`);
  }
}

export async function inRounds<T>(
  title: string,
  rounds: number,
  all: readonly Measured<T>[],
  sampleOf: (id: string, round: number) => Promise<T>,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < all.length; i++) {
      const measured = all[(i + round) % all.length];
      if (measured === undefined) continue;
      await attempt(measured, async () => void measured.samples.push(await sampleOf(measured.id, round)));
    }
    process.stderr.write(`\r${title}: round ${round + 1} of ${rounds}   `);
  }
  process.stderr.write("\n");
}

/** The samples of `id`, when there is one of every round. */
export function complete<T>(all: readonly Measured<T>[], id: string, rounds: number): readonly T[] | undefined {
  const samples = all.find((one) => one.id === id)?.samples;
  return samples?.length === rounds && rounds > 0 ? samples : undefined;
}
