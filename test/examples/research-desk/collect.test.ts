import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";

import { COLLECT_LIMITS, collect, isDocument, linesOf } from "../../../examples/research-desk/documents/collect.ts";
import { Shelf } from "../../../examples/research-desk/documents/library.ts";
import { makeSmallFolder } from "./small-folder.ts";

describe("collector", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await makeSmallFolder();
    return () => rm(folder, { recursive: true });
  });

  it("finds the documents in one order and leaves binaries out", async () => {
    const { files, skipped, cut } = await collect(folder);
    expect(files.map(({ path }) => path)).toEqual([
      "ledgerly/LICENSE",
      "ledgerly/README.md",
      "ledgerly/package.json",
      "pipeworks/README.md",
      "pipeworks/package.json",
      "tinted/README.md",
      "tinted/package.json",
    ]);
    expect({ skipped, cut }).toEqual({ skipped: 1, cut: 0 });
  });

  it("gives the same content the same hash, and other content another", async () => {
    const before = await collect(folder);
    expect((await collect(folder)).hash).toBe(before.hash);
    await writeFile(join(folder, "tinted/README.md"), "# tinted\n\nOther words.\n");
    expect((await collect(folder)).hash).not.toBe(before.hash);
  });

  it("keeps to its limits and counts what it left out", async () => {
    const { files, skipped, cut } = await collect(folder, { ...COLLECT_LIMITS, filesMax: 2, fileBytesMax: 60 });
    expect(files.map(({ path }) => path)).toEqual(["ledgerly/LICENSE", "ledgerly/README.md"]);
    expect(files[0]?.lines).toEqual(["MIT License", ""]);
    expect({ skipped, cut }).toEqual({ skipped: 6, cut: 2 });
  });

  it.each([
    ["README", true],
    ["readme.markdown", true],
    ["LICENSE-MIT", true],
    ["guide.md", true],
    ["package.json", true],
    ["tsconfig.json", false],
    ["history.js", false],
    ["CMakeLists.txt", false],
    ["index.d.ts", false],
  ])("takes %s for a document: %s", (name, expected) => {
    expect(isDocument(name)).toBe(expected);
  });

  it("counts lines as an editor does", () => {
    expect(linesOf("\uFEFFa\r\nb\n")).toEqual(["a", "b"]);
    expect(linesOf("")).toEqual([]);
  });

  it("builds a library again in a fresh process, and refuses one whose documents changed", async () => {
    const { ref } = await new Shelf().open(folder);
    const again = await new Shelf().get(ref);
    expect(again.ref).toEqual(ref);
    await writeFile(join(folder, "tinted/README.md"), "# changed\n");
    await expect(new Shelf().get(ref)).rejects.toThrow(/changed since this session collected them/);
  });
});
