// A2A values: parts of messages and artifacts as the values that agents take and give, and back.

import type { Message, Part } from "@a2a-js/sdk";

import { fromJsonValue, toJsonValue } from "../../runtime/result-json.ts";

/** A file as it comes in a part: its bytes, or where it is. */
export interface A2aFile {
  readonly filename: string;
  readonly mediaType: string;
  readonly bytes?: Uint8Array;
  readonly url?: string;
}

/** Text as text, anything else as data. */
export function partOf(value: unknown): Part {
  return typeof value === "string"
    ? { content: { $case: "text", value }, metadata: undefined, filename: "", mediaType: "text/plain" }
    : {
        content: { $case: "data", value: toJsonValue(value) },
        metadata: undefined,
        filename: "",
        mediaType: "application/json",
      };
}

/** One part is its value, texts are one text, anything else is a list. */
export function valueOfParts(parts: readonly Part[]): unknown {
  const values = parts.map(valueOfPart);
  if (values.length === 1) return values[0];
  return values.every((value) => typeof value === "string") ? values.join("") : values;
}

/** One artifact is its value, several are a list of theirs. */
export function valueOfArtifacts(artifacts: readonly (readonly Part[])[]): unknown {
  const values = artifacts.map(valueOfParts);
  return values.length === 1 ? values[0] : values;
}

export function textOfParts(parts: readonly Part[]): string {
  return parts.map(({ content }) => (content?.$case === "text" ? content.value : "")).join("");
}

export function messageOf(
  message: Pick<Message, "messageId" | "role" | "parts"> & Partial<Pick<Message, "taskId" | "contextId">>,
): Message {
  return { taskId: "", contextId: "", metadata: undefined, extensions: [], referenceTaskIds: [], ...message };
}

function valueOfPart({ content, filename, mediaType }: Part): unknown {
  switch (content?.$case) {
    case "text":
      return content.value;
    case "data":
      return readTagged(content.value);
    case "raw":
      return { filename, mediaType, bytes: Uint8Array.from(content.value) } satisfies A2aFile;
    case "url":
      return { filename, mediaType, url: content.value } satisfies A2aFile;
    case undefined:
      return null;
  }
}

// Another's data may have a `$type` that is none of ours.
function readTagged(json: unknown): unknown {
  try {
    return fromJsonValue(json ?? null);
  } catch {
    return json;
  }
}
