// Licences: what a package declares, and what a licence text is.

const TEXTS: readonly { readonly id: string; readonly all: readonly RegExp[] }[] = [
  { id: "AGPL-3.0", all: [/GNU AFFERO GENERAL PUBLIC LICENSE/i] },
  { id: "LGPL", all: [/GNU LESSER GENERAL PUBLIC LICENSE/i] },
  { id: "GPL", all: [/GNU GENERAL PUBLIC LICENSE/i] },
  { id: "MPL-2.0", all: [/Mozilla Public License/i, /2\.0/] },
  { id: "Apache-2.0", all: [/Apache License/i, /Version 2\.0/i] },
  { id: "BSD-3-Clause", all: [/Redistribution and use in source and binary forms/i, /Neither the name/i] },
  { id: "BSD-2-Clause", all: [/Redistribution and use in source and binary forms/i] },
  { id: "MIT", all: [/Permission is hereby granted, free of charge/i] },
  { id: "ISC", all: [/Permission to use, copy, modify, and(?:\/or)? distribute this software/i] },
  { id: "Unlicense", all: [/free and unencumbered software released into the public domain/i] },
  { id: "CC0-1.0", all: [/CC0 1\.0 Universal/i] },
  { id: "CC-BY-4.0", all: [/Creative Commons Attribution 4\.0/i] },
];

export interface LicenceText {
  readonly id: string;
  /** The line, from 1, with the words it was recognised by, and that line as it stands. */
  readonly line: number;
  readonly quote: string;
}

/** Recognises a licence by its own words; undefined when it is none of the common ones. */
export function recogniseLicence(lines: readonly string[]): LicenceText | undefined {
  // The first kilobytes: files of bundled code list the licences of others further down.
  const head = lines.slice(0, 60);
  const text = head.join(" ").replace(/\s+/g, " ");
  for (const { id, all } of TEXTS) {
    if (!all.every((pattern) => pattern.test(text))) continue;
    const at = head.findIndex((line) => all[0]?.test(line));
    const line = at === -1 ? head.findIndex((each) => each.trim() !== "") : at;
    return { id, line: line + 1, quote: (head[line] ?? "").trim() };
  }
  return undefined;
}

/** The licence a parsed package.json declares: `license`, the old object form, or the older list. */
export function declaredLicence(manifest: Readonly<Record<string, unknown>>): string | undefined {
  const one = nameOf(manifest["license"] ?? manifest["licence"]);
  if (one !== undefined) return one;
  const several = manifest["licenses"];
  if (!Array.isArray(several)) return undefined;
  const names = several.map(nameOf).filter((name) => name !== undefined);
  return names.length === 0 ? undefined : names.join(" OR ");
}

function nameOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  return typeof value.type === "string" ? value.type : undefined;
}
