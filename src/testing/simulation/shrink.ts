// Shrinking: the smallest part of what goes into a failing seed that still fails it.
//
// Source: Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002, without its search for complements:
// what can be left out is left out, in halves, quarters and so on down to single items. Before that, each item is tried
// alone: most often one is enough, and leaving out others can move what it hits.

/** The items still needed, in their order. `fails` is asked at most `triesMax` times. */
export async function shrink<T>(
  items: readonly T[],
  fails: (kept: readonly T[]) => Promise<boolean>,
  triesMax: number,
): Promise<readonly T[]> {
  let tries = 0;
  for (const item of items.length > 1 ? items.slice(0, Math.floor(triesMax / 2)) : []) {
    tries++;
    if (await fails([item])) return [item];
  }
  let kept = items;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < kept.length && tries < triesMax;) {
      const without = [...kept.slice(0, at), ...kept.slice(at + size)];
      tries++;
      if (await fails(without)) kept = without;
      else at += size;
    }
  }
  return kept;
}
