// Faults
//
// Owns:      what goes wrong, and when.
// Does not:  do the damage (the simulated parts do, where they ask).
//
// Z1  Whether a fault strikes depends on the seed, its kind and how often that kind could have struck before; leaving one
//     out moves no other, so that a list of faults can be made smaller.
// Z2  After `calm` nothing strikes any more.

import type { Random } from "../../base/random.ts";
import { mix, streamFor } from "./chance.ts";

/** What can go wrong, and what it means. */
export const FAULT_KINDS = {
  "process-crash": "the process dies between two events; what was written stays",
  "power-loss": "the machine loses power: what was not yet flushed to the disk is gone, from some point on",
  "torn-write": "the process dies in the middle of a write",
  "failed-write": "a write fails; now and then it is found on the disk all the same",
  "slow-write": "a write takes up to five seconds",
  "bit-flip": "while the process is down, one bit of a stored record changes",
  "lost-acknowledgement": "something was done, and its caller hears an error, or nothing",
  repeated: "a message, an append or a result comes twice",
  delayed: "a message takes up to three seconds, and others overtake it",
  "clock-jump": "the wall clock of a machine is set forward or back, up to an hour",
  stall: "the process stands still for up to two seconds in the middle of its work",
  "agent-throw": "an agent fails before or after its work, in a way that may be tried again",
  "agent-hang": "an agent does not answer until it is stopped",
  freeze: "a host stands still for up to a minute, and then all that fell due meanwhile happens at once",
  partition: "a host is cut off from the bus, in one direction or both, for up to a minute",
  "bus-away": "the bus answers nobody for up to ten seconds",
  "lost-message": "a message to the bus or from it never comes",
  "lost-hint": "a hint of the bus never comes: that there is a result, a command, a host",
} as const;

export type FaultKind = keyof typeof FAULT_KINDS;

/** One that struck: the `n`-th time its kind could have, from 0. */
export interface Fault {
  readonly kind: FaultKind;
  readonly n: number;
}

/** How likely each kind is, each time it could strike, from 0 to 1. */
export type FaultRates = Readonly<Partial<Record<FaultKind, number>>>;

/** Where a seed draws its own rates from, the highest of each kind. */
export const DEFAULT_FAULT_RATES: Readonly<Record<FaultKind, number>> = Object.freeze({
  "process-crash": 0.02,
  "power-loss": 0.01,
  "torn-write": 0.02,
  "failed-write": 0.02,
  "slow-write": 0.1,
  "bit-flip": 0.25,
  "lost-acknowledgement": 0.1,
  repeated: 0.1,
  delayed: 0.2,
  "clock-jump": 0.01,
  stall: 0.01,
  "agent-throw": 0.1,
  "agent-hang": 0.03,
  freeze: 0.01,
  partition: 0.01,
  "bus-away": 0.003,
  "lost-message": 0.05,
  "lost-hint": 0.3,
});

/** In each seed some kinds do not strike at all, and some rarely: uniform storms hide what a single fault does. */
export function ratesOf(seed: number, highest: FaultRates): FaultRates {
  const random = streamFor(seed, "rates");
  const calm = random.next() < 0.05;
  const rates: Partial<Record<FaultKind, number>> = {};
  for (const kind of Object.keys(DEFAULT_FAULT_RATES) as FaultKind[]) {
    const share = random.next() < 0.4 ? 0 : random.next() ** 2;
    rates[kind] = calm ? 0 : (highest[kind] ?? 0) * share;
  }
  return rates;
}

export class FaultPlan {
  readonly struck: Fault[] = [];
  readonly #seed: number;
  readonly #rates: FaultRates;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #asked = new Map<FaultKind, number>();
  #calm = false;

  /** With `only`, exactly those strike, whatever the rates say. */
  constructor(seed: number, rates: FaultRates, only?: readonly Fault[]) {
    this.#seed = seed;
    this.#rates = rates;
    this.#only = only === undefined ? undefined : new Set(only.map(nameOfFault));
  }

  get calmed(): boolean {
    return this.#calm;
  }

  calm(): void {
    this.#calm = true;
  }

  /** Whether it strikes now: then with the chance that says how. */
  strikes(kind: FaultKind): Random | undefined {
    if (this.#calm) return undefined;
    const n = this.#asked.get(kind) ?? 0;
    this.#asked.set(kind, n + 1);
    const fault = { kind, n };
    if (this.#only === undefined) {
      const rate = this.#rates[kind] ?? 0;
      if (rate === 0 || mix(this.#seed, "strikes", kind, n) / 2 ** 32 >= rate) return undefined;
    } else if (!this.#only.has(nameOfFault(fault))) return undefined;
    this.struck.push(fault);
    return streamFor(this.#seed, "how", kind, n);
  }
}

/** `process-crash:3`; `parseFault` reads it back. */
export function nameOfFault({ kind, n }: Fault): string {
  return `${kind}:${n}`;
}

export function parseFault(text: string): Fault | undefined {
  const found = /^([a-z-]+):(\d+)$/.exec(text);
  const [, kind, n] = found ?? [];
  return kind !== undefined && kind in FAULT_KINDS ? { kind: kind as FaultKind, n: Number(n) } : undefined;
}
