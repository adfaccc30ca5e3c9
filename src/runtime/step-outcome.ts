// Step outcome: what an agent returned, as the outcome a fact holds.

import type { Outcome } from "../actors/facts.ts";
import type { Command } from "./agent.ts";
import type { NewBlobs, Values } from "./values.ts";

/** @throws {OrchestraError} `ORCH_NOT_SERIALIZABLE`, `ORCH_PAYLOAD_TOO_LARGE` */
export function valueOutcome(value: unknown, values: Values, blobs: NewBlobs): Outcome {
  return { kind: "value", value: values.store(value, "output", blobs) };
}

/** The same for a command. `next.fail` is no outcome but a failure, so it is not among them. */
export function commandOutcome(command: Exclude<Command, { kind: "fail" }>, values: Values, blobs: NewBlobs): Outcome {
  switch (command.kind) {
    case "invoke":
      return {
        kind: "invoke",
        agent: command.agent,
        input: values.store(command.input, `next.invoke("${command.agent}").input`, blobs),
      };
    case "parallel":
      return {
        kind: "parallel",
        items: command.items.map(({ agent, input }, i) => ({
          agent,
          input: values.store(input, `next.parallel[${i}].input`, blobs),
        })),
      };
    case "final":
      return { kind: "final", value: values.store(command.value, "next.final", blobs) };
    case "ask": {
      const { prompt, timeoutMs = false, onTimeout = "fail" } = command;
      return {
        kind: "ask",
        prompt: values.store(prompt, "next.ask.prompt", blobs),
        ...(timeoutMs !== false && { timeoutMs }),
        ...(onTimeout !== "fail" && { fallback: values.store(onTimeout.answer, "next.ask.onTimeout.answer", blobs) }),
      };
    }
  }
}
