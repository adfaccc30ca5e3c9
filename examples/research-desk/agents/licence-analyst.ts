import type { AnalystReply, Brief } from "../desk.ts";
import type { Shelf } from "../documents/library.ts";

/** Declared licences and licence texts, of the candidates or, where there are none, of every package. */
export function createLicenceAnalyst(shelf: Shelf) {
  return async ({ indexed, facets, candidates }: Brief): Promise<AnalystReply> => {
    if (!facets.some(({ kind }) => kind === "licence")) return { kind: "licences", licences: [] };
    const { subjects } = await shelf.get(indexed.library);
    const named = new Set(candidates.map(({ subject }) => subject));
    const asked = subjects.filter(({ name, isPackage }) => (named.size === 0 ? isPackage : named.has(name)));
    const seen = new Set<string>();
    const licences = asked.filter(({ name }) => !seen.has(name) && seen.add(name)).map(({ licence }) => licence);
    return { kind: "licences", licences };
  };
}
