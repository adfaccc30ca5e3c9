// Inbox commands: what other hosts ask of the owner of a session, as the facts it will commit.

import type { ZodType } from "zod";
import type { Fact } from "../actors/facts.ts";
import type { SessionState } from "../actors/session-state.ts";
import { OrchestraError } from "../base/errors.ts";
import { loadedOnFirstUse, onFirstUse } from "../base/on-first-use.ts";
import type { InboxCommand } from "../bus/ports.ts";
import { answerFact, type CommandPorts } from "./answer-fact.ts";
import { factsOfResume, type Brought } from "./resume-facts.ts";
import type { NewBlobs } from "./values.ts";

const zod = loadedOnFirstUse<typeof import("zod")>("zod");
const bodies = onFirstUse(() => {
  const { z } = zod();
  return {
    pause: z.object({ reason: z.string().optional(), inFlight: z.enum(["finish", "abort"]).default("finish") }),
    cancel: z.object({ reason: z.string().optional() }),
    resume: z.object({
      context: z.record(z.string(), z.unknown()).optional(),
      answers: z.record(z.string(), z.unknown()).optional(),
    }),
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
      return factsOfResume(state, withoutAbsent(parse(bodies().resume, command)), ports, blobs);
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
    // Those need the store: asked-checkpoints.ts.
    case "checkpoint":
    case "restore":
      return [];
  }
}

function parse<T>(schema: ZodType<T>, command: Pick<InboxCommand, "type" | "body">): T {
  const parsed = schema.safeParse(command.body);
  if (parsed.success) return parsed.data;
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `inbox command "${command.type}": ${parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ")}`,
  );
}

function withoutAbsent({
  context,
  answers,
}: {
  context?: Record<string, unknown> | undefined;
  answers?: Record<string, unknown> | undefined;
}): Brought {
  return { ...(context !== undefined && { context }), ...(answers !== undefined && { answers }) };
}
