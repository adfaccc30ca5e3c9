// Inbox commands: what other hosts ask of the owner of a session, as the facts it will commit.

import type { ZodType } from "zod";
import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { edgesToJudge, openQuestions, pausedSinceMs } from "../actors/view.ts";
import { OrchestraError } from "../base/errors.ts";
import { loadedOnFirstUse, onFirstUse } from "../base/on-first-use.ts";
import type { InboxCommand } from "../bus/ports.ts";
import type { RunCode } from "./engine-api.ts";
import { assertConditionsKnown } from "./missing-code.ts";
import { judgeEdges } from "./step-facts.ts";
import type { NewBlobs, Values } from "./values.ts";

export interface CommandPorts {
  readonly values: Values;
  readonly code: RunCode | undefined;
  readonly nowMs: number;
}

const zod = loadedOnFirstUse<typeof import("zod")>("zod");
const bodies = onFirstUse(() => {
  const { z } = zod();
  return {
    pause: z.object({ reason: z.string().optional(), inFlight: z.enum(["finish", "abort"]).default("finish") }),
    cancel: z.object({ reason: z.string().optional() }),
    answer: z.object({ questionId: z.string(), value: z.unknown() }),
    context: z.object({ context: z.record(z.string(), z.unknown()) }),
  };
});

/** @throws {OrchestraError} `ORCH_BAD_OPTION` for a body that is not what its type says. */
export async function factsOfCommand(
  state: SessionState,
  command: Pick<InboxCommand, "type" | "body">,
  ports: CommandPorts,
  blobs: NewBlobs,
): Promise<Fact[]> {
  switch (command.type) {
    case "pause": {
      const { reason, inFlight } = parse(bodies().pause, command);
      return [{ type: "paused", inFlight, ...(reason === undefined ? {} : { reason }) }];
    }
    case "cancel": {
      const { reason } = parse(bodies().cancel, command);
      return [{ type: "cancelled", ...(reason === undefined ? {} : { reason }) }];
    }
    case "resume":
      return [resumedFact(state, ports.nowMs)];
    case "context":
      return [
        {
          type: "context.added",
          context: ports.values.storeAll(parse(bodies().context, command).context, "context", blobs),
        },
      ];
    case "answer": {
      const { questionId, value } = parse(bodies().answer, command);
      return [await answerFact(state, questionId, value, ports, blobs)];
    }
    case "checkpoint":
    case "restore":
      return [];
  }
}

/** Moves open deadlines by the time the run stood still. */
export function resumedFact(state: SessionState, nowMs: number): Fact {
  const sinceMs = pausedSinceMs(state);
  return { type: "resumed", shiftMs: sinceMs === null ? 0 : Math.max(0, nowMs - sinceMs) };
}

/** @throws {OrchestraError} `ORCH_QUESTION_UNKNOWN`, `ORCH_CONDITION`, `ORCH_CONDITION_UNKNOWN`, `ORCH_NOT_SERIALIZABLE` */
export async function answerFact(
  state: SessionState,
  questionId: string,
  value: unknown,
  ports: CommandPorts,
  blobs: NewBlobs,
): Promise<Fact> {
  if (!openQuestions(state).some((question) => question.questionId === questionId))
    throw unknownQuestion(state.sessionId, questionId);
  const stored = ports.values.store(value, "answer", blobs);
  const edges = edgesToJudge(state, { questionId }, "value");
  if (edges.length > 0 && ports.code === undefined) {
    throw new OrchestraError(
      "ORCH_SESSION_STATE",
      `question ${questionId}: where the answer leads depends on conditions this process was not given; answer it with resume`,
      {
        details: { sessionId: state.sessionId, questionId },
      },
    );
  }
  if (edges.length > 0 && ports.code !== undefined && state.run !== null)
    assertConditionsKnown(state.sessionId, state.run, ports.code);
  const held =
    ports.code === undefined
      ? []
      : await judgeEdges(state, edges, stored, null, { values: ports.values, code: ports.code });
  return { type: "user.answered", questionId, value: stored, held };
}

export function unknownQuestion(sessionId: string, questionId: string): OrchestraError {
  return new OrchestraError("ORCH_QUESTION_UNKNOWN", `session "${sessionId}" has no open question "${questionId}"`, {
    details: { sessionId, questionId },
  });
}

function parse<T>(schema: ZodType<T>, command: Pick<InboxCommand, "type" | "body">): T {
  const parsed = schema.safeParse(command.body);
  if (parsed.success) return parsed.data;
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `inbox command "${command.type}": ${parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ")}`,
  );
}
