// A folder of three made-up packages: one keeps data, one moves it, one does neither.

import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const MIT_TEXT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n";

const FILES: Readonly<Record<string, string>> = {
  "ledgerly/package.json": JSON.stringify(
    { name: "ledgerly", version: "2.1.0", description: "An embedded database for ledgers", license: "MIT" },
    null,
    2,
  ),
  "ledgerly/LICENSE": MIT_TEXT,
  "ledgerly/README.md": [
    "# ledgerly",
    "",
    "A database that stores ledgers on disk.",
    "",
    "## Durability",
    "",
    "After a crash every entry that was flushed is recovered. Entries that",
    "were not flushed are **lost**.",
    "",
    "- `fsync`: every write must reach the disk before it is acknowledged after a crash.",
    "",
  ].join("\n"),
  "pipeworks/package.json": JSON.stringify(
    {
      name: "pipeworks",
      version: "0.3.0",
      description: "Stream transport between processes",
      license: "ISC",
      keywords: ["stream", "transport"],
    },
    null,
    2,
  ),
  "pipeworks/README.md": "# pipeworks\n\nIt will send frames through a stream and never keeps any of them.\n",
  "tinted/package.json": JSON.stringify(
    { name: "tinted", version: "1.0.0", description: "Colours for the terminal", license: "MIT" },
    null,
    2,
  ),
  "tinted/README.md": "# tinted\n\nPrint words in colour. A crash of the terminal resets colours.\n",
  "tinted/logo.txt": "binary\0content",
};

export const SMALL_QUESTION =
  "Which of them keep or move data, under which licence, and what do they promise about crashes?";

export async function makeSmallFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "research-desk-"));
  for (const [path, content] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}
