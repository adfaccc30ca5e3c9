import type { Collected, Indexed } from "../desk.ts";
import type { Shelf } from "../documents/library.ts";

/** Splits the documents into passages and indexes their terms. */
export function createIndexer(shelf: Shelf) {
  return async (collected: Collected): Promise<Indexed> => {
    const { passages, index, subjects } = await shelf.get(collected.library);
    return {
      ...collected,
      passages: passages.length,
      terms: index.termCount,
      subjects: subjects.length,
      packages: subjects.filter(({ isPackage }) => isPackage).length,
    };
  };
}
