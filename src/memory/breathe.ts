/** Lets whatever else waits have its turn. What works through much does so between slices of a few milliseconds. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
