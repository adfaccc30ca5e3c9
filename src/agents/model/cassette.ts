// Cassette: what models were asked and answered, one call a line, so that a diff of the file reads as one of the calls.
//
// What is compared is the request: messages, tools, format and settings. Headers are neither kept nor compared, since keys
// stand in them; failed calls are not kept.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { OrchestraError } from "../../base/errors.ts";
import type { CallOptions, LanguageModel, StreamPart } from "./language-model.ts";

/** What callers go by before they ask: the request is made by it, so whoever answers in the model's place says the same. */
export interface Capabilities {
  /** Of the interface by which the answer was given. */
  readonly specificationVersion: LanguageModel["specificationVersion"];
  /** Addresses that the provider takes as such, by media type. */
  readonly supportedUrls: Record<string, RegExp[]>;
  /** Some providers say so beside their interface. */
  readonly supportsStructuredOutputs?: unknown;
}

export interface CassetteEntry {
  readonly v: 1;
  readonly provider: string;
  readonly model: string;
  readonly capabilities: Capabilities;
  readonly key: string;
  readonly request: unknown;
  /** How the model was called; it is answered in the same way. */
  readonly answer:
    | { readonly type: "stream"; readonly parts: readonly StreamPart[] }
    | { readonly type: "generate"; readonly result: unknown };
}

export async function capabilitiesOf(model: LanguageModel): Promise<Capabilities> {
  const supportsStructuredOutputs: unknown = Reflect.get(model, "supportsStructuredOutputs");
  return {
    specificationVersion: model.specificationVersion,
    supportedUrls: await model.supportedUrls,
    ...(supportsStructuredOutputs !== undefined && { supportsStructuredOutputs }),
  };
}

const COMPARED = [
  "prompt",
  "tools",
  "toolChoice",
  "responseFormat",
  "maxOutputTokens",
  "temperature",
  "stopSequences",
  "topP",
  "topK",
  "presencePenalty",
  "frequencyPenalty",
  "seed",
  "providerOptions",
] as const satisfies readonly (keyof CallOptions)[];

/** The request as it stands in a cassette: plain JSON, its keys in order. */
export function requestOf(options: CallOptions): unknown {
  return plain(Object.fromEntries(COMPARED.map((field) => [field, options[field]])));
}

export function keyOf(request: unknown): string {
  return createHash("sha256").update(JSON.stringify(request)).digest("hex").slice(0, 16);
}

export function entryLine(entry: CassetteEntry): string {
  return `${JSON.stringify(plain(entry))}\n`;
}

/** @throws {OrchestraError} `ORCH_CASSETTE` when the file is missing, empty or no cassette. */
export function readCassette(file: string): readonly CassetteEntry[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new OrchestraError("ORCH_CASSETTE", `the cassette ${file} cannot be read; record it with recordModel`, {
      cause: error,
      details: { file },
    });
  }
  const lines = text.split("\n").map((line, i) => ({ line, number: i + 1 }));
  const entries = lines.flatMap(({ line, number }) => (line.trim() === "" ? [] : [readLine(file, line, number)]));
  if (entries.length > 0) return entries;
  throw new OrchestraError("ORCH_CASSETTE", `the cassette ${file} is empty`, { details: { file } });
}

function readLine(file: string, line: string, number: number): CassetteEntry {
  let entry: unknown;
  try {
    entry = JSON.parse(line, revive);
  } catch {
    entry = undefined;
  }
  if (isEntry(entry)) return entry;
  throw new OrchestraError("ORCH_CASSETTE", `line ${number} of the cassette ${file} is no recorded call`, {
    details: { file, line: number },
  });
}

function isEntry(value: unknown): value is CassetteEntry {
  if (typeof value !== "object" || value === null) return false;
  const { v, key, answer, capabilities } = value as Partial<CassetteEntry>;
  if (typeof capabilities?.supportedUrls !== "object") return false;
  return v === 1 && typeof key === "string" && (answer?.type === "stream" || answer?.type === "generate");
}

/** Plain JSON with sorted keys; bytes, instants and patterns are marked, so that they come back as what they were. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Date) return { $date: value.toISOString() };
  if (value instanceof RegExp) return { $pattern: value.source, flags: value.flags };
  if (value instanceof URL) return value.href;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, plain(item)]));
}

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const { $bytes, $date, $pattern, flags } = value as Readonly<Record<string, unknown>>;
  if (typeof $pattern === "string" && typeof flags === "string") return new RegExp($pattern, flags);
  if (typeof $bytes === "string") return new Uint8Array(Buffer.from($bytes, "base64"));
  return typeof $date === "string" ? new Date($date) : value;
}
