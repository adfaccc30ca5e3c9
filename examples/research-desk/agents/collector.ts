import type { Collected, DeskTask } from "../desk.ts";
import type { Shelf } from "../documents/library.ts";

/** Walks the folder and takes stock of its documents. */
export function createCollector(shelf: Shelf) {
  return async (task: DeskTask): Promise<Collected> => {
    const { ref, collection } = await shelf.open(task.docs);
    if (collection.files.length === 0)
      throw new Error(
        `no documents under ${task.docs}: expected README, CHANGELOG, LICENSE, *.md, *.txt, *.rst or package.json files`,
      );
    const { bytes, skipped, cut, files } = collection;
    return { question: task.question, library: ref, files: files.length, bytes, skipped, cut };
  };
}
