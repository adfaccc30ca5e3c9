// Graph
//
// Directed graphs by number and the few classic algorithms the compiler needs. Vertices are
// 0..size-1, `succ[v]` lists the successors of v in declared order. All of it is iterative: a chain of ten
// thousand nodes must not exhaust the stack.

export type Successors = readonly (readonly number[])[];

export function predecessors(succ: Successors): number[][] {
  const pred: number[][] = succ.map(() => []);
  for (const [v, targets] of succ.entries()) for (const w of targets) pred[w]?.push(v);
  return pred;
}

/** Everything a nonempty path from `start` leads to, as a bit set. */
export function reachableFrom(succ: Successors, start: number): Uint32Array {
  const seen = createBits(succ.length);
  const stack = [start];
  while (stack.length > 0) {
    for (const w of succ[stack.pop() ?? 0] ?? []) {
      if (hasBit(seen, w)) continue;
      setBit(seen, w);
      stack.push(w);
    }
  }
  return seen;
}

export interface DepthFirst {
  /** Vertices in the order they were finished: of an acyclic graph, each after all its successors. */
  readonly postorder: readonly number[];
  /** Edges that lead to a vertex still being visited; without them the graph is acyclic. `cycle` starts with `to` and ends with `from`. */
  readonly retreating: readonly { from: number; to: number; cycle: readonly number[] }[];
}

/** Visits depth first from each of `roots` in turn. */
export function depthFirst(succ: Successors, roots: readonly number[]): DepthFirst {
  const state = new Uint8Array(succ.length); // 0 new, 1 being visited, 2 finished
  const postorder: number[] = [];
  const retreating: { from: number; to: number; cycle: number[] }[] = [];
  for (const root of roots) {
    if (state[root] !== 0) continue;
    const path: number[] = [root];
    const next: number[] = [0];
    state[root] = 1;
    while (path.length > 0) {
      const depth = path.length - 1;
      const v = path[depth] ?? 0;
      const i = next[depth] ?? 0;
      const w = succ[v]?.[i];
      if (w === undefined) {
        state[v] = 2;
        postorder.push(v);
        path.pop();
        next.pop();
        continue;
      }
      next[depth] = i + 1;
      if (state[w] === 0) {
        state[w] = 1;
        path.push(w);
        next.push(0);
      } else if (state[w] === 1) {
        retreating.push({ from: v, to: w, cycle: path.slice(path.indexOf(w)) });
      }
    }
  }
  return { postorder, retreating };
}

/**
 * Immediate dominators of everything `root` reaches; -1 elsewhere, and `root` for `root` itself.
 *
 * Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001), section 4.
 */
export function immediateDominators(succ: Successors, root: number): Int32Array {
  const { postorder } = depthFirst(succ, [root]);
  const number = new Int32Array(succ.length).fill(-1);
  for (const [i, v] of postorder.entries()) number[v] = i;
  const pred = predecessors(succ);
  const idom = new Int32Array(succ.length).fill(-1);
  idom[root] = root;
  for (let changed = true; changed;) {
    changed = false;
    for (let i = postorder.length - 2; i >= 0; i--) {
      const v = postorder[i] ?? 0;
      let found = -1;
      for (const p of pred[v] ?? []) {
        if (number[p] === -1 || idom[p] === -1) continue;
        found = found === -1 ? p : nearestCommon(idom, number, p, found);
      }
      if (idom[v] === found) continue;
      idom[v] = found;
      changed = true;
    }
  }
  return idom;
}

/** The nearest common ancestor of two vertices in the tree `parent`, where ancestors have the higher `number`. */
export function nearestCommon(parent: Int32Array, number: Int32Array, a: number, b: number): number {
  while (a !== b) {
    while ((number[a] ?? 0) < (number[b] ?? 0)) a = parent[a] ?? 0;
    while ((number[b] ?? 0) < (number[a] ?? 0)) b = parent[b] ?? 0;
  }
  return a;
}

/** A test for "a dominates b" that takes constant time, from the tree of immediate dominators. */
export function dominance(idom: Int32Array, root: number): (a: number, b: number) => boolean {
  const children: number[][] = Array.from(idom, () => []);
  for (const [v, parent] of idom.entries()) if (parent !== -1 && v !== root) children[parent]?.push(v);
  const enter = new Int32Array(idom.length).fill(-1);
  const leave = new Int32Array(idom.length).fill(-1);
  let time = 0;
  const stack = [root];
  while (stack.length > 0) {
    const v = stack[stack.length - 1] ?? 0;
    if (enter[v] === -1) {
      enter[v] = time++;
      for (const child of children[v] ?? []) stack.push(child);
    } else {
      if (leave[v] === -1) leave[v] = time++;
      stack.pop();
    }
  }
  return (a, b) =>
    enter[a] !== -1 && enter[b] !== -1 && (enter[a] ?? 0) <= (enter[b] ?? 0) && (leave[b] ?? 0) <= (leave[a] ?? 0);
}

/** Strongly connected components, each as a list of vertices (Tarjan 1972); a component comes after those it leads to. */
export function components(succ: Successors): number[][] {
  const order = new Int32Array(succ.length).fill(-1);
  const low = new Int32Array(succ.length);
  const open = new Uint8Array(succ.length);
  const waiting: number[] = [];
  const found: number[][] = [];
  let time = 0;
  for (let root = 0; root < succ.length; root++) {
    if (order[root] !== -1) continue;
    const path = [root];
    const next = [0];
    while (path.length > 0) {
      const depth = path.length - 1;
      const v = path[depth] ?? 0;
      if (order[v] === -1) {
        order[v] = low[v] = time++;
        open[v] = 1;
        waiting.push(v);
      }
      const w = succ[v]?.[next[depth] ?? 0];
      if (w !== undefined) {
        next[depth] = (next[depth] ?? 0) + 1;
        if (order[w] === -1) {
          path.push(w);
          next.push(0);
        } else if (open[w] === 1) low[v] = Math.min(low[v] ?? 0, order[w] ?? 0);
        continue;
      }
      path.pop();
      next.pop();
      const parent = path[depth - 1];
      if (parent !== undefined) low[parent] = Math.min(low[parent] ?? 0, low[v] ?? 0);
      if (low[v] !== order[v]) continue;
      const component = waiting.splice(waiting.lastIndexOf(v));
      for (const member of component) open[member] = 0;
      found.push(component);
    }
  }
  return found;
}

export function createBits(size: number): Uint32Array {
  return new Uint32Array((size + 31) >>> 5);
}

export function hasBit(bits: Uint32Array, i: number): boolean {
  return (((bits[i >>> 5] ?? 0) >>> (i & 31)) & 1) === 1;
}

export function setBit(bits: Uint32Array, i: number): void {
  bits[i >>> 5] = (bits[i >>> 5] ?? 0) | (1 << (i & 31));
}

/** Adds `other` to `bits`; true when the two had a member in common. */
export function addBits(bits: Uint32Array, other: Uint32Array): boolean {
  let common = false;
  for (let i = 0; i < bits.length; i++) {
    const a = bits[i] ?? 0;
    const b = other[i] ?? 0;
    if ((a & b) !== 0) common = true;
    bits[i] = a | b;
  }
  return common;
}
