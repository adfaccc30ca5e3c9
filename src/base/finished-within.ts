import type { Clock } from "./clock.ts";

/** How long closing waits for what cannot be reached, in milliseconds. */
export const CLOSE_MS = 5_000;

/** True once `work` is done, within `timeoutMs`; what it fails with comes out. Else it goes on, and nobody hears how it ends. */
export async function finishedWithin(work: Promise<unknown>, timeoutMs: number, clock: Clock): Promise<boolean> {
  let cancel = (): void => undefined;
  const late = new Promise<false>((resolve) => {
    cancel = clock.setTimer(timeoutMs, () => resolve(false));
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    cancel();
  }
}
