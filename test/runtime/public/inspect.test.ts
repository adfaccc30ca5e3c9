// Sessions and steps as XState's inspectors see them.

import { describe, expect, it } from "vitest";
import type { InspectionEvent } from "xstate";

import { Orchestra } from "../../../src/index.ts";

const team = {
  topology: { nodes: ["A", "B"], edges: ["A -> B"] },
  agents: { A: (task: unknown) => `${String(task)}!`, B: (text: unknown) => `${String(text)}?` },
};

function nameOf({ actorRef }: InspectionEvent): string {
  return "id" in actorRef ? String(actorRef.id) : "";
}

describe("the option inspect", () => {
  it("is told of the session and of each step as XState actors, from their first to their last state", async () => {
    const seen: InspectionEvent[] = [];
    const result = await Orchestra.run({ ...team, task: "go", inspect: (event) => seen.push(event) });

    expect(result.finalResponse).toBe("go!?");
    const begun = seen.filter((event) => event.type === "@xstate.actor").map(nameOf);
    expect(begun).toEqual([`session ${result.sessionId}`, "step 1.0.1 A", "step 1.0.2 B"]);
    const last = new Map<string, unknown>();
    for (const event of seen)
      if (event.type === "@xstate.snapshot") last.set(nameOf(event), (event.snapshot as { value?: unknown }).value);
    expect([...last.values()]).toEqual(["completed", "succeeded", "succeeded"]);
  });

  it("harms no run by throwing", async () => {
    const inspect = (): never => {
      throw new Error("not today");
    };
    const result = await Orchestra.run({ ...team, task: "go", inspect });
    expect(result.orThrow().finalResponse).toBe("go!?");
  });

  it("must be a function", async () => {
    const run = Orchestra.run({ ...team, task: "go", inspect: "yes" as never });
    await expect(run).rejects.toMatchObject({ code: "ORCH_BAD_OPTION", message: expect.stringContaining("inspect") });
  });
});
