// A memory whose database tells what it is asked, before it answers.

import { OpenMemory } from "../../src/memory/open-memory.ts";
import { DEFAULT_MEMORY_OPTIONS } from "../../src/memory/create-memory.ts";
import { ngramEmbedder } from "../../src/memory/ngram-embedder.ts";
import { folderStorage, volatileStorage } from "../../src/memory/storage.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { ResolvedMemory } from "../../src/memory/open-memory.ts";
import type { KeyValue } from "../../src/state/key-value.ts";
import type { Memory } from "orchestra/memory";

/** `tell` gets the method, its arguments and, once more, what it is about to give; what it throws is thrown instead. */
export function watchedMemory(
  tell: (method: string, args: readonly unknown[], given: unknown) => void | Promise<void>,
  { folder, ...options }: Partial<ResolvedMemory> & { readonly folder?: string } = {},
): Memory {
  const storage = folder === undefined ? volatileStorage() : folderStorage(folder);
  const watched = (kv: KeyValue): KeyValue =>
    new Proxy(kv, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name, target);
        if (typeof method !== "function") return method;
        return async (...args: unknown[]) => {
          await tell(`before ${String(name)}`, args, undefined);
          const given: unknown = await method.apply(target, args);
          await tell(String(name), args, given);
          return given;
        };
      },
    });
  return new OpenMemory({
    ...DEFAULT_MEMORY_OPTIONS,
    storage: { ...storage, open: async () => watched(await storage.open()) },
    embedder: ngramEmbedder(),
    logger: silentLogger,
    clock: systemClock(),
    random: systemRandom(),
    ...options,
  });
}
