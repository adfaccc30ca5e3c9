// Follow-ups: after a result, questions go on in the same session for as long as the channel gives any.

import type { Clock } from "../base/clock.ts";
import type { Channel } from "./channel.ts";
import { DEFAULT_FOLLOW_UP_TIMEOUT_MS } from "./run-options.ts";
import type { OrchestraResult } from "./result.ts";

export interface FollowUpPorts {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly timeoutMs: number | false | undefined;
  readonly signal: AbortSignal | undefined;
}

const PROMPT = "Any follow-up question? (empty to stop)";

/** The task's own result, with the results of the questions that followed in `followUps`. */
export async function followUps(
  first: OrchestraResult,
  ports: FollowUpPorts,
  ask: (question: string) => Promise<OrchestraResult>,
): Promise<OrchestraResult> {
  const answers: OrchestraResult[] = [];
  let last = first;
  while (last.success) {
    ports.channel.tell?.(last.finalResponse);
    const question = await nextQuestion(first, answers.length + 1, ports);
    if (question === undefined) break;
    last = await ask(question);
    answers.push(last);
  }
  return answers.length === 0 ? first : first.withFollowUps(answers);
}

async function nextQuestion(
  { sessionId }: OrchestraResult,
  number: number,
  { channel, clock, timeoutMs = DEFAULT_FOLLOW_UP_TIMEOUT_MS, signal }: FollowUpPorts,
): Promise<string | undefined> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  signal?.addEventListener("abort", stop, { once: true });
  const cancelTimer = timeoutMs === false ? undefined : clock.setTimer(timeoutMs, stop);
  try {
    if (signal?.aborted) return undefined;
    const question = {
      questionId: `follow-up-${number}`,
      sessionId,
      node: "User",
      branchId: "",
      prompt: PROMPT,
      kind: "follow-up",
    } as const;
    const gone = new Promise<undefined>((resolve) =>
      abort.signal.addEventListener("abort", () => resolve(undefined), { once: true }),
    );
    // A channel that fails or ends has no more questions.
    const answer = await Promise.race([channel.ask(question, abort.signal).catch(() => undefined), gone]);
    return typeof answer === "string" && answer.trim() !== "" ? answer : undefined;
  } finally {
    cancelTimer?.();
    signal?.removeEventListener("abort", stop);
    abort.abort();
  }
}
