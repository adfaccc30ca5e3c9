// Message: what conversations need of a message; the AI SDK's `ModelMessage` is one.

export interface Message {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | readonly MessagePart[];
}

export interface MessagePart {
  readonly type: string;
  readonly toolCallId?: string;
}

const isCall = ({ type }: MessagePart): boolean => type === "tool-call";
const isResult = ({ type }: MessagePart): boolean => type === "tool-result";

/** What one message leaves open, or closes, of tool calls. Ids may come again once they are closed: some servers count from 0 each time. */
export class OpenCalls<At> {
  readonly #open = new Map<string, At>();

  get size(): number {
    return this.#open.size;
  }

  /** Returns the places of the calls that will have no result: their id was given anew. */
  open(id: string, at: At): At | undefined {
    const before = this.#open.get(id);
    this.#open.set(id, at);
    return before;
  }

  /** Whether there was such a call. */
  close(id: string): boolean {
    return this.#open.delete(id);
  }

  left(): readonly At[] {
    return [...this.#open.values()];
  }
}

/** The same messages without calls that have no result and results that have no call; models refuse either. */
export function paired<M extends Message>(messages: readonly M[]): readonly M[] {
  const unpaired = unpairedParts(messages);
  if (unpaired.size === 0) return messages;
  return messages.flatMap((message) => {
    if (typeof message.content === "string") return [message];
    const content = message.content.filter((part) => !unpaired.has(part));
    if (content.length === message.content.length) return [message];
    return content.length === 0 ? [] : [{ ...message, content }];
  });
}

function unpairedParts(messages: readonly Message[]): ReadonlySet<MessagePart> {
  const open = new OpenCalls<MessagePart>();
  const unpaired = new Set<MessagePart>();
  for (const { content } of messages) {
    if (typeof content === "string") continue;
    for (const part of content) {
      if (part.toolCallId === undefined) continue;
      if (isCall(part)) {
        const lost = open.open(part.toolCallId, part);
        if (lost !== undefined) unpaired.add(lost);
      } else if (isResult(part) && !open.close(part.toolCallId)) unpaired.add(part);
    }
  }
  for (const part of open.left()) unpaired.add(part);
  return unpaired;
}

/** For each message, whether a tool call is open behind it: nothing may be cut there. */
export function openBehind(messages: readonly Message[]): readonly boolean[] {
  const open = new OpenCalls<true>();
  return messages.map(({ content }) => {
    if (typeof content !== "string") {
      for (const part of content) {
        if (part.toolCallId === undefined) continue;
        if (isCall(part)) open.open(part.toolCallId, true);
        else if (isResult(part)) open.close(part.toolCallId);
      }
    }
    return open.size > 0;
  });
}
