// Teams whose tools are killed in the middle, for a child process and for the test that goes on with them.
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { approvalReply, callTool, defineTool } from "../../../src/agents/index.ts";
import type { CallToolOptions, Tool } from "../../../src/agents/index.ts";
import { LevelStorage, OrchestraInstance, StateManager } from "../../../src/index.ts";
import type { AgentContext, AgentFunction, Channel } from "../../../src/index.ts";

/** What tools did, one line each, as the world outside sees it. */
export function effects(folder: string): string[] {
  try {
    return readFileSync(join(folder, "effects"), "utf8").trim().split("\n").toSorted();
  } catch {
    return [];
  }
}

const effect = (folder: string, line: string): void => appendFileSync(join(folder, "effects"), `${line}\n`);

function stateIn(folder: string): StateManager {
  return new StateManager({ storage: new LevelStorage(join(folder, "state"), { durability: "process" }) });
}

/** One node that pays after it was approved. */
export function paying(folder: string, channel: Channel | "none" = "none"): OrchestraInstance {
  const Pay = defineTool({
    name: "Pay",
    policy: "approve",
    run: ({ amount }) => {
      effect(folder, `paid ${amount}`);
      return `paid ${amount}`;
    },
  });
  return new OrchestraInstance({
    topology: { nodes: [{ name: "Pay", kind: "tool" }] },
    agents: { Pay },
    stateManager: stateIn(folder),
    communicationConfig: { channel },
  });
}

/**
 * Four nodes side by side that each call a tool once. With `stuck`, the tools of the first three never come back, and the
 * fourth never goes on after it has its tool's value.
 */
export function four(folder: string, stuck?: () => void): OrchestraInstance {
  const hang = (): Promise<never> => {
    stuck?.();
    return new Promise(() => undefined);
  };
  const tool = (name: string, idempotent: boolean, hangs: boolean): Tool =>
    defineTool({
      name,
      idempotent,
      timeoutMs: false,
      run: () => {
        effect(folder, name);
        return stuck !== undefined && hangs ? hang() : `${name} done`;
      },
    });
  const caller =
    (of: Tool, options: CallToolOptions = {}, hangsAfter = false): AgentFunction =>
    async (input: unknown, ctx: AgentContext) => {
      const approval = approvalReply(ctx, input);
      const outcome = await callTool(of, { id: "call", input: {} }, ctx, { ...options, approval });
      if (stuck !== undefined && hangsAfter) return hang();
      return outcome.type === "approval" ? outcome.ask : outcome;
    };
  return new OrchestraInstance({
    topology: {
      nodes: ["Report", "Ask", "Again", "Once", "End"],
      edges: ["Report", "Ask", "Again", "Once"].flatMap((name) => [`Start -> ${name}`, `${name} -> End`]),
    },
    agents: {
      Report: caller(tool("report", false, true)),
      Ask: caller(tool("ask", false, true), { onUnknownOutcome: "ask" }),
      Again: caller(tool("again", true, true)),
      Once: caller(tool("once", false, false), {}, true),
    },
    stateManager: stateIn(folder),
    communicationConfig: { channel: "none" },
  });
}
