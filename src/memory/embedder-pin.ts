// Embedder pin: entries are searched by the embedder that made their vectors, or not at all.

import { resolve } from "node:path";

import { OrchestraError } from "../base/errors.ts";
import { ngramEmbedder } from "./ngram-embedder.ts";
import type { Embedder } from "./ports.ts";
import type { Settings } from "./records.ts";

type Named = Pick<Embedder, "name" | "dimensions">;

/**
 * @param folder where the memory is; null where it is in no folder
 * @throws {OrchestraError} `ORCH_MEMORY_EMBEDDER` unless these settings are those of the embedder.
 */
export function assertEmbedder(settings: Settings | null, embedder: Named, folder: string | null): void {
  if (settings === null) return;
  const isSameLength = embedder.dimensions === null || embedder.dimensions === settings.dimensions;
  if (settings.embedder === embedder.name && isSameLength) return;
  const given = embedder.dimensions === null ? "" : ` (${embedder.dimensions} dimensions)`;
  throw new OrchestraError(
    "ORCH_MEMORY_EMBEDDER",
    `the entries were embedded by "${settings.embedder}" (${settings.dimensions} dimensions), expected the same, got "${embedder.name}"${given}; their vectors are made anew by await memory.reembed()${commandFor(embedder, folder)}`,
    {
      details: {
        stored: settings.embedder,
        storedDimensions: settings.dimensions,
        given: embedder.name,
        givenDimensions: embedder.dimensions,
      },
    },
  );
}

/** The command line makes the default embedder itself; any other it needs a file for. */
function commandFor({ name }: Named, folder: string | null): string {
  if (folder === null) return "";
  const place = name === ngramEmbedder().name ? `--memory ${shellWord(resolve(folder))}` : "--file FILE";
  return `, or by: orchestra orchestrate memory reembed ${place}`;
}

/** As one word of a shell. */
function shellWord(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
