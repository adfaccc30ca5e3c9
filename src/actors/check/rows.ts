// Rows: lists of numbers, one after another in one array. What a search finds has hundreds of thousands of moves, and a list for
// each of its states would cost more than the search.

export interface Rows {
  /** Row `i` is `items` from `starts[i]` up to `starts[i + 1]`. */
  readonly starts: Int32Array;
  readonly items: Int32Array;
}

/** A row of items for each of `count` keys; `each` hands out all pairs in order, the same each time. */
export function rowsOf(count: number, each: (visit: (key: number, item: number) => void) => void): Rows {
  const starts = new Int32Array(count + 1);
  each((key) => {
    starts[key + 1]!++;
  });
  for (let i = 0; i < count; i++) starts[i + 1]! += starts[i]!;
  const items = new Int32Array(starts[count]!);
  const next = starts.slice(0, count);
  each((key, item) => {
    items[next[key]!++] = item;
  });
  return { starts, items };
}

/** Strongly connected components, each as a row of vertices (Tarjan 1972); a component comes after those it leads to. */
export function componentsOf({ starts, items }: Rows): Rows {
  const size = starts.length - 1;
  const order = new Int32Array(size).fill(-1);
  const low = new Int32Array(size);
  const waitsAt = new Int32Array(size).fill(-1);
  const waiting = new Int32Array(size);
  const path = new Int32Array(size);
  const next = starts.slice(0, size);
  const found = new Int32Array(size);
  const ends: number[] = [0];
  let time = 0;
  let waits = 0;
  let taken = 0;
  for (let root = 0; root < size; root++) {
    if (order[root] !== -1) continue;
    let depth = 0;
    path[0] = root;
    while (depth >= 0) {
      const v = path[depth]!;
      if (order[v] === -1) {
        order[v] = low[v] = time++;
        waitsAt[v] = waits;
        waiting[waits++] = v;
      }
      if (next[v]! < starts[v + 1]!) {
        const w = items[next[v]!++]!;
        if (order[w] === -1) path[++depth] = w;
        else if (waitsAt[w] !== -1) low[v] = Math.min(low[v]!, order[w]!);
        continue;
      }
      depth--;
      if (depth >= 0) low[path[depth]!] = Math.min(low[path[depth]!]!, low[v]!);
      if (low[v] !== order[v]) continue;
      const from = waitsAt[v]!;
      for (let i = from; i < waits; i++) {
        waitsAt[waiting[i]!] = -1;
        found[taken++] = waiting[i]!;
      }
      waits = from;
      ends.push(taken);
    }
  }
  return { starts: Int32Array.from(ends), items: found };
}
