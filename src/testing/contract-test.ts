// What a contract suite needs of a test runner. It is handed in, so that `orchestra/testing` loads no runner itself;
// vitest's own `describe`, `it`, `expect`, `beforeEach` and `afterEach` fit as they are.

export interface ContractExpectation {
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
  toMatchObject(expected: object): void;
}

export interface ContractTest {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: (name: string, body: () => Promise<void>) => unknown;
  readonly expect: (actual: unknown, message?: string) => ContractExpectation;
  readonly beforeEach: (body: () => Promise<void>) => unknown;
  readonly afterEach: (body: () => Promise<void>) => unknown;
}

/** Lets `ms` pass in the world of the adapter: moves its simulated clock, or really waits. */
export type Tick = (ms: number) => Promise<void>;

const POLL_MS = 20;

/** Ticks until `holds`, at most `withinMs`. @throws when it never does, naming `what`. */
export async function eventually(
  tick: Tick,
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  for (let waitedMs = 0; !(await holds()); waitedMs += POLL_MS) {
    if (waitedMs >= withinMs) throw new Error(`waited ${withinMs} ms in vain: ${what}`);
    await tick(POLL_MS);
  }
}

/** The code of the error that `work` rejects with; "none" when it resolves. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return "none";
  } catch (error) {
    return typeof error === "object" && error !== null && "code" in error ? error.code : error;
  }
}
