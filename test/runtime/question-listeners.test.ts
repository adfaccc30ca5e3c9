import { expect, it } from "vitest";
import type { Question } from "../../src/actors/effects.ts";
import { encodeValue } from "../../src/base/codec.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { QuestionListeners } from "../../src/runtime/question-listeners.ts";
import { Values } from "../../src/runtime/values.ts";
import { deferred } from "./world.ts";

const question = (questionId: string): Question => ({
  questionId,
  branchId: "b1",
  node: "Clerk",
  prompt: { ref: questionId, bytes: 100_000 },
  kind: "ask",
  askedAtMs: 1,
});

it("does not tell of a question that was withdrawn while its long prompt was read", async () => {
  const read = deferred();
  const told: string[] = [];
  const listeners = new QuestionListeners(
    new Values({ getBlob: (ref) => read.promise.then(() => encodeValue(`prompt of ${ref}`)) }),
    silentLogger,
  );
  listeners.add(
    (_sessionId, { promptValue }) => told.push(String(promptValue)),
    (_sessionId, questionId) => told.push(`${questionId} is withdrawn`),
  );
  listeners.tell("s", question("q1"));
  listeners.tell("s", question("q2"));
  listeners.tell("t", question("q1"));
  listeners.tellWithdrawn("s", "q1");
  read.resolve();
  await expect.poll(() => told.length).toBe(3);
  expect(told).toEqual(["q1 is withdrawn", "prompt of q2", "prompt of q1"]);
  listeners.tell("s", question("q1"));
  await expect.poll(() => told.length).toBe(4);
});
