// User content: the input of a step as the AI SDK's message of a user. Text stays text, files and images stay what they
// are, wherever in the input they stand; everything else is shown as JSON.

import type { FilePart, ImagePart, TextPart, UserContent } from "ai";

type Part = TextPart | ImagePart | FilePart;
type Attachment = ImagePart | FilePart;

/**
 * A string is the message itself, and so is a list of parts. In anything else a file or an image is taken out and put
 * after the text, where `[image 1]` stands in its place.
 */
export function userContent(input: unknown): UserContent {
  if (typeof input === "string") return input;
  if (Array.isArray(input) && input.length > 0 && input.every(isPart)) return input;
  if (isPart(input)) return [input];
  const attachments: Attachment[] = [];
  const text = shown(input, attachments);
  return attachments.length === 0 ? text : [{ type: "text", text }, ...attachments];
}

/** What of a rendezvous or of replies: each under its sender's name. Else JSON. */
function shown(input: unknown, attachments: Attachment[]): string {
  if (isArrivals(input)) {
    return input
      .map(({ from, value, error }) => {
        const said = error === undefined ? asText(value, attachments) : `failed: ${asText(error, attachments)}`;
        return `From ${from}:\n${said}`;
      })
      .join("\n\n");
  }
  return asText(input, attachments);
}

function asText(value: unknown, attachments: Attachment[]): string {
  if (typeof value === "string") return value;
  const json = JSON.stringify(withoutAttachments(value, attachments), undefined, 2);
  return json ?? "null";
}

function withoutAttachments(value: unknown, attachments: Attachment[]): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (isAttachment(value)) {
    attachments.push(value);
    return `[${value.type} ${attachments.length}]`;
  }
  if (Array.isArray(value)) return value.map((item) => withoutAttachments(item, attachments));
  if (value instanceof Date) return value;
  if (value instanceof Map) return withoutAttachments([...value], attachments);
  if (value instanceof Set) return withoutAttachments([...value], attachments);
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutAttachments(item, attachments)]));
}

function isArrivals(value: unknown): value is { from: string; value?: unknown; error?: unknown }[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((item) => isObject(item) && typeof item["from"] === "string" && ("value" in item || "error" in item))
  );
}

function isPart(value: unknown): value is Part {
  return isAttachment(value) || (isObject(value) && value["type"] === "text" && typeof value["text"] === "string");
}

function isAttachment(value: unknown): value is Attachment {
  if (!isObject(value)) return false;
  if (value["type"] === "image") return isData(value["image"]);
  return value["type"] === "file" && isData(value["data"]) && typeof value["mediaType"] === "string";
}

function isData(value: unknown): boolean {
  return typeof value === "string" || value instanceof Uint8Array || value instanceof URL;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
