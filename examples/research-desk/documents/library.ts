// Library: the documents of a folder, split, indexed and ready to be asked.
//
// Agents hand each other a reference (folder and content hash), never the texts. A process that has no such library
// on its shelf, because it was started after a crash, builds it again; the hash says whether it is the same one.

import { collect, type Collection, type SourceFile } from "./collect.ts";
import { sentencesOf, splitPassages, type Passage } from "./passages.ts";
import { TermIndex } from "./ranking.ts";
import { findSubjects, type Subject } from "./subjects.ts";
import { tokenise } from "./words.ts";

export interface LibraryRef {
  readonly folder: string;
  readonly hash: string;
}

export interface IndexedPassage extends Passage {
  readonly file: SourceFile;
  readonly subject: Subject;
}

export interface IndexedSentence {
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly terms: readonly string[];
}

export class Library {
  readonly ref: LibraryRef;
  readonly collection: Collection;
  readonly passages: readonly IndexedPassage[];
  /** Items are positions in `passages`; headings count as part of what stands below them. */
  readonly index: TermIndex;
  /** By name and folder, in the order of the documents. */
  readonly subjects: readonly Subject[];
  readonly #files: ReadonlyMap<string, SourceFile>;
  readonly #items = new Map<Subject, number[]>();
  readonly #sentences = new Map<number, readonly IndexedSentence[]>();

  constructor(collection: Collection) {
    const subjectOf = findSubjects(collection.files);
    const passages: IndexedPassage[] = [];
    for (const file of collection.files) {
      const subject = subjectOf.get(file.path);
      if (subject === undefined || isManifest(file)) continue;
      for (const passage of splitPassages(file.lines)) passages.push({ ...passage, file, subject });
    }
    this.ref = { folder: collection.folder, hash: collection.hash };
    this.collection = collection;
    this.passages = passages;
    this.index = new TermIndex(passages.map(({ heading, text }) => [...tokenise(heading), ...tokenise(text)]));
    for (const [item, { subject }] of passages.entries()) {
      const known = this.#items.get(subject);
      if (known === undefined) this.#items.set(subject, [item]);
      else known.push(item);
    }
    this.subjects = [...new Set(subjectOf.values())];
    this.#files = new Map(collection.files.map((file) => [file.path, file]));
  }

  /** Positions in `passages` of what belongs to a subject, in document order. */
  itemsOf(subject: Subject): readonly number[] {
    return this.#items.get(subject) ?? [];
  }

  lines(path: string): readonly string[] | undefined {
    return this.#files.get(path)?.lines;
  }

  /** The sentences of a passage; none for code and tables. */
  sentences(item: number): readonly IndexedSentence[] {
    const known = this.#sentences.get(item);
    if (known !== undefined) return known;
    const passage = this.passages[item];
    const found =
      passage?.kind !== "prose"
        ? []
        : sentencesOf(passage).map(({ start, end, text }) => ({
            path: passage.file.path,
            start,
            end,
            text,
            terms: tokenise(text),
          }));
    this.#sentences.set(item, found);
    return found;
  }
}

/** Libraries of this process, the last two used. */
export class Shelf {
  readonly #libraries: Library[] = [];

  /** Reads and indexes the folder as it is now. */
  async open(folder: string): Promise<Library> {
    const library = new Library(await collect(folder));
    this.#libraries.unshift(library);
    this.#libraries.length = Math.min(2, this.#libraries.length);
    return library;
  }

  /** @throws {Error} when the documents are no longer those the reference was made of. */
  async get(ref: LibraryRef): Promise<Library> {
    const known = this.#libraries.find((one) => one.ref.hash === ref.hash && one.ref.folder === ref.folder);
    if (known !== undefined) return known;
    const library = await this.open(ref.folder);
    if (library.ref.hash !== ref.hash) {
      throw new Error(
        `the documents under ${ref.folder} changed since this session collected them (${ref.hash.slice(0, 8)} then, ${library.ref.hash.slice(0, 8)} now); start a new session`,
      );
    }
    return library;
  }
}

function isManifest(file: SourceFile): boolean {
  return file.path === "package.json" || file.path.endsWith("/package.json");
}
