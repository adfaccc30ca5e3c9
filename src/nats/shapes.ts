// The shapes of what crosses the bus, checked when it is read: what comes from the bus is foreign.

import { z } from "zod";
import type { InboxCommand, JournalEntry, StepMessage, StepResult } from "../bus/ports.ts";
import type { Stored } from "../base/stored.ts";
import { unreadable } from "./wire.ts";

const text = z.string().max(4_096);
const attempt = z.number().int().min(1);

export const stepShape = z.object({
  sessionId: text,
  runId: text,
  stepId: text,
  agent: text,
  attempt,
  body: z.unknown(),
  notBeforeMs: z.number().exactOptional(),
  recovered: z.literal(true).exactOptional(),
});

export const resultShape = z.object({ sessionId: text, stepId: text, attempt, body: z.unknown() });

/** What is told of a result: that it is there, and what it is unless it has to be looked up. */
export const hintShape = z.object({
  stepId: text,
  attempt,
  seq: z.number().int().min(0),
  packed: z.custom<Uint8Array>((value) => value instanceof Uint8Array).exactOptional(),
});
export type ResultHint = z.infer<typeof hintShape>;

export const commandShape = z.object({
  id: text,
  type: z.enum(["pause", "resume", "cancel", "answer", "context", "checkpoint", "restore"]),
  body: z.unknown(),
});

const stored = z.custom<Stored>((value) => typeof value === "object" && value !== null);
export const entryShape = z.object({ sessionId: text, stepId: text, key: z.string(), value: stored });

export const journalRequestShape = z.discriminatedUnion("do", [
  z.object({ do: z.literal("put"), entry: entryShape }),
  z.object({ do: z.literal("list"), stepId: text }),
]);
export const journalReplyShape = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("put"), answer: z.enum(["first", "already"]) }),
  z.object({ kind: z.literal("list"), entries: z.array(entryShape) }),
  z.object({ kind: z.literal("failed"), code: z.string().optional(), message: z.string() }),
]);
export type JournalReply = z.infer<typeof journalReplyShape>;

/** Held against the ports by the compiler. */
export const read = {
  step: (value: unknown, what: string): StepMessage => parse(stepShape, value, what),
  result: (value: unknown, what: string): StepResult => parse(resultShape, value, what),
  command: (value: unknown, what: string): InboxCommand => parse(commandShape, value, what),
  entry: (value: unknown, what: string): JournalEntry => parse(entryShape, value, what),
};

/** @throws {OrchestraError} `ORCH_BUS_PAYLOAD` */
export function parse<T>(shape: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unreadable(what, `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not what was expected"}`);
}
