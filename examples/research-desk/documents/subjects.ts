// Subjects: what the documents are about. A package where there is a package.json, else the document itself.

import { posix } from "node:path";

import type { Citation } from "./citations.ts";
import type { SourceFile } from "./collect.ts";
import { declaredLicence, recogniseLicence } from "./licences.ts";

export interface LicenceRecord {
  readonly subject: string;
  /** SPDX name as declared, or as recognised from the text; null when neither was found. */
  readonly licence: string | null;
  readonly citations: readonly Citation[];
  /** Set when the declaration and the licence text name different licences. */
  readonly conflict?: string;
}

export interface Subject {
  /** Package name, or the path of the document. */
  readonly name: string;
  /** Folder inside the collection; empty at its root. */
  readonly folder: string;
  readonly isPackage: boolean;
  readonly version?: string;
  readonly description?: Citation;
  readonly keywords: readonly string[];
  readonly licence: LicenceRecord;
}

/** The subject of every file, by path. Files of one package share one. */
export function findSubjects(files: readonly SourceFile[]): Map<string, Subject> {
  const packages = new Map<string, Subject>();
  const licenceTexts = new Map<string, SourceFile>();
  for (const file of files) {
    if (/^(?:licen[cs]e|copying)/i.test(posix.basename(file.path))) {
      const folder = folderOf(file.path);
      if (!licenceTexts.has(folder)) licenceTexts.set(folder, file);
    }
  }
  for (const file of files) {
    const subject = posix.basename(file.path) === "package.json" ? readPackage(file, licenceTexts) : undefined;
    if (subject !== undefined) packages.set(subject.folder, subject);
  }
  const subjects = new Map<string, Subject>();
  for (const { path } of files) {
    const found = ancestors(path)
      .map((folder) => packages.get(folder))
      .find((one) => one !== undefined);
    subjects.set(path, found ?? documentSubject(path, licenceTexts));
  }
  return subjects;
}

function readPackage(file: SourceFile, licenceTexts: ReadonlyMap<string, SourceFile>): Subject | undefined {
  const manifest = parseObject(file.lines.join("\n"));
  const name = manifest?.["name"];
  const version = manifest?.["version"];
  if (manifest === undefined || typeof name !== "string" || typeof version !== "string") return undefined;
  const folder = folderOf(file.path);
  const description = manifest["description"];
  const keywords = manifest["keywords"];
  const descriptionAt =
    typeof description === "string" && description.trim() !== ""
      ? citeField(file, "description", description)
      : undefined;
  return {
    name,
    folder,
    isPackage: true,
    version,
    keywords: Array.isArray(keywords) ? keywords.filter((word) => typeof word === "string") : [],
    licence: licenceOf(name, declaredLicence(manifest), citeField(file, "licen", undefined), licenceTexts.get(folder)),
    ...(descriptionAt === undefined ? {} : { description: descriptionAt }),
  };
}

function documentSubject(path: string, licenceTexts: ReadonlyMap<string, SourceFile>): Subject {
  const text = ancestors(path)
    .map((folder) => licenceTexts.get(folder))
    .find((file) => file !== undefined);
  return {
    name: path,
    folder: folderOf(path),
    isPackage: false,
    keywords: [],
    licence: licenceOf(path, undefined, undefined, text),
  };
}

function licenceOf(
  subject: string,
  declared: string | undefined,
  at: Citation | undefined,
  file: SourceFile | undefined,
): LicenceRecord {
  const text = file === undefined ? undefined : recogniseLicence(file.lines);
  const citations: Citation[] = [];
  if (declared !== undefined && at !== undefined) citations.push(at);
  if (file !== undefined && text !== undefined)
    citations.push({ path: file.path, start: text.line, end: text.line, quote: text.quote });
  const disagree =
    declared !== undefined && text !== undefined && !declared.toLowerCase().includes(text.id.toLowerCase());
  return {
    subject,
    licence: declared ?? text?.id ?? null,
    citations,
    ...(disagree ? { conflict: `package.json says ${declared}, the licence text reads as ${text.id}` } : {}),
  };
}

// Where a top-level field stands: the line that opens with its name at the smallest indentation.
function citeField(file: SourceFile, field: string, value: string | undefined): Citation | undefined {
  const pattern = new RegExp(`^(\\s*)"${field}[a-z]*"\\s*:`);
  let best: { at: number; indent: number } | undefined;
  for (const [at, line] of file.lines.entries()) {
    const indent = pattern.exec(line)?.[1]?.length;
    if (indent !== undefined && (best === undefined || indent < best.indent)) best = { at, indent };
  }
  if (best === undefined) return undefined;
  const line = (file.lines[best.at] ?? "").trim();
  const quote = value !== undefined && line.includes(value) ? value : line.replace(/,$/, "");
  return { path: file.path, start: best.at + 1, end: best.at + 1, quote };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined; // A package.json that does not parse is a document like any other.
  }
}

function folderOf(path: string): string {
  const folder = posix.dirname(path);
  return folder === "." ? "" : folder;
}

function ancestors(path: string): string[] {
  const out: string[] = [];
  for (let folder = folderOf(path); ; folder = folderOf(folder)) {
    out.push(folder);
    if (folder === "") return out;
  }
}
