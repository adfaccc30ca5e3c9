// What a process may never need is made, or loaded, when it is first asked for.

import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** What `make` gives, made at the first call. One that throws is tried again at the next. */
export function onFirstUse<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/**
 * A package of ours, loaded at the first call and at once: for callers that cannot wait for `import()`. The type is
 * the caller's word: `loadedOnFirstUse<typeof import("zod")>("zod")`.
 */
export function loadedOnFirstUse<Module>(name: string): () => Module {
  return onFirstUse(() => require(name) as Module);
}
