// Tokens: how many a message takes, about. Servers tell the truth only afterwards, and each model counts in its own way.

import type { Message, MessagePart } from "./message.ts";

export type CountTokens<M extends Message = Message> = (message: M) => number;

/** A token is about four characters of English or code. */
const CHARACTERS_PER_TOKEN = 4;
/** What marks the role of a message. */
const TOKENS_PER_MESSAGE = 4;
/** Images, files and sound, whatever their size. */
const TOKENS_PER_MEDIUM = 1_000;

/** An estimate for English and code. Other scripts take more: give `countTokens` there, or where it must be exact. */
export function estimateTokens({ content }: Message): number {
  if (typeof content === "string") return TOKENS_PER_MESSAGE + estimateTextTokens(content);
  return content.reduce((sum, part) => sum + ofPart(part), TOKENS_PER_MESSAGE);
}

/** The same for what is no message. */
export function estimateTextTokens(text: string): number {
  return Math.ceil(text.length / CHARACTERS_PER_TOKEN);
}

function ofPart(part: MessagePart): number {
  if (part.type === "image" || part.type === "file") return TOKENS_PER_MEDIUM;
  const { text } = part as { readonly text?: unknown };
  if (typeof text === "string") return estimateTextTokens(text);
  let media = 0;
  // What has a `toJSON` shows only in its holder as what it is.
  const json = JSON.stringify(part, function (this: Readonly<Record<string, unknown>>, key, value: unknown) {
    if (!isMedium(this[key])) return value;
    media++;
    return undefined;
  });
  return estimateTextTokens(json) + media * TOKENS_PER_MEDIUM;
}

/** Bytes, or what a tool gave back as an image or a file. */
function isMedium(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (value instanceof Uint8Array) return true;
  const { data, mediaType } = value as { readonly data?: unknown; readonly mediaType?: unknown };
  return typeof data === "string" && typeof mediaType === "string";
}
