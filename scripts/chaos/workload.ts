// What every session of the storm does, and what it must come to: 15 steps whose result depends on each of them, once.

import type { AgentContext, AgentFunction, TopologyInput } from "../../src/index.ts";

const ARMS = 4;
const ARM_STEPS = 3;

const arms = Array.from({ length: ARMS }, (_, arm) =>
  Array.from({ length: ARM_STEPS }, (_step, i) => `Arm${arm}x${i}`),
);

export const TOPOLOGY: TopologyInput = {
  nodes: ["Fork", ...arms.flat(), "Join", "Final"],
  edges: [...arms.map((arm) => `Fork -> ${arm.join(" -> ")} -> Join`), "Join -> Final"],
};

const AGENTS = ["Fork", ...arms.flat(), "Join", "Final"];

/** Not commutative: a step that is left out, doubled or taken in another order gives another text. */
function after(agent: string, input: string): string {
  let hash = 0x811c9dc5;
  for (const char of `${agent}(${input})`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return `${agent}:${(hash >>> 0).toString(16)}`;
}

function textOf(agent: string, input: unknown): string {
  if (agent !== "Join") return String(input);
  return (input as readonly { from: string; value: string }[]).map(({ from, value }) => `${from}=${value}`).join("&");
}

/** What a session on this task must end with. */
export function expectedResult(task: string): string {
  const forked = after("Fork", task);
  const arrived = arms.map((arm) => ({
    from: arm.at(-1) ?? "",
    value: arm.reduce((value, agent) => after(agent, value), forked),
  }));
  return after("Final", after("Join", textOf("Join", arrived)));
}

/** `started` hears of each beginning of a step before the step works for up to `workMs`. */
export function agentsOf(
  workMs: number,
  started: (ctx: Pick<AgentContext, "sessionId" | "stepId" | "attempt">) => void,
): Record<string, AgentFunction<unknown, string>> {
  const agent =
    (name: string): AgentFunction<unknown, string> =>
    async (input, ctx) => {
      started(ctx);
      const text = textOf(name, input);
      // Spread by what is worked on rather than by chance: the same session takes the same times.
      await new Promise((resolve) => setTimeout(resolve, parseInt(after(name, text).slice(-2), 16) * (workMs / 255)));
      return after(name, text);
    };
  return Object.fromEntries(AGENTS.map((name) => [name, agent(name)]));
}
