// What befalls whom, and when: drawn from the seed beforehand, so that the same seed gives the same storm.

import { seededRandom } from "../../src/base/random.ts";

export type Role = "owner" | "worker" | "program" | "client" | "server";

export interface Blow {
  /** Since the storm began. */
  readonly atMs: number;
  readonly kind: "kill" | "freeze";
  readonly role: Role;
  /** Which of its role. */
  readonly index: number;
  /** Until it is started again, or goes on. */
  readonly forMs: number;
}

export interface Weather {
  readonly seed: number;
  readonly forMs: number;
  readonly leaseMs: number;
  /** How many there are of each. */
  readonly counts: Readonly<Record<Role, number>>;
}

const PAUSE_MS = { least: 400, most: 1_000 };
const WEIGHTS: Readonly<Record<Role, number>> = { owner: 5, worker: 4, program: 2, client: 1, server: 2 };

/** Of each role at least one stands at any moment, where there are several; of three servers at most one is down. */
export function planStorm({ seed, forMs, leaseMs, counts }: Weather): Blow[] {
  const random = seededRandom(seed);
  const between = (least: number, most: number): number => Math.floor(least + random.next() * (most - least));
  const downUntil = new Map<string, number>();
  const blows: Blow[] = [];
  for (
    let atMs = between(PAUSE_MS.least, PAUSE_MS.most);
    atMs < forMs;
    atMs += between(PAUSE_MS.least, PAUSE_MS.most)
  ) {
    const role = weighted(random.next(), counts);
    const index = between(0, counts[role]);
    const kind = random.next() < 0.5 ? "kill" : "freeze";
    const forMs_ = durationOf(role, kind, leaseMs, between);
    const isDown = (i: number): boolean => (downUntil.get(`${role}${i}`) ?? 0) > atMs;
    const down = Array.from({ length: counts[role] }, (_, i) => i).filter(isDown).length;
    const mayFall = role === "server" ? 1 : Math.max(1, counts[role] - 1);
    if (isDown(index) || down >= mayFall) continue;
    // A server that was down has to catch up before another may fall.
    downUntil.set(`${role}${index}`, atMs + forMs_ + (role === "server" ? SERVER_CATCHES_UP_MS : 0));
    blows.push({ atMs, kind, role, index, forMs: forMs_ });
  }
  return blows;
}

const SERVER_CATCHES_UP_MS = 5_000;

function weighted(chance: number, counts: Weather["counts"]): Role {
  const present = (Object.keys(WEIGHTS) as Role[]).filter((role) => counts[role] > 0);
  let left = chance * present.reduce((sum, role) => sum + WEIGHTS[role], 0);
  return present.find((role) => (left -= WEIGHTS[role]) < 0) ?? "owner";
}

/** Frozen for less than the lease and for more: the one must not be taken over, the other comes back as a stranger. */
function durationOf(
  role: Role,
  kind: Blow["kind"],
  leaseMs: number,
  between: (least: number, most: number) => number,
): number {
  if (role === "server") return between(300, 3_000);
  return kind === "kill" ? between(200, 2_500) : between(leaseMs * 0.4, leaseMs * 2.2);
}
