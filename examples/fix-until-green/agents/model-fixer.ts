// A fixer that is a model with two tools. What it may change is held by the run's allowed paths, not by trust.

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { defineAgent, type AgentObject } from "orchestra";
import { defineTool, modelAgent, type Tool } from "orchestra/agents";
import { z } from "zod";
import { commit } from "../commit.ts";
import { openModel, type ModelOptions } from "../../research-desk/model.ts";
import type { Edit, Plan } from "../team.ts";

export async function modelFixer(options: ModelOptions): Promise<AgentObject> {
  const model = await openModel(options);
  return defineAgent({
    name: "Fixer",
    timeoutMs: false,
    run: async (plan: Plan, ctx): Promise<Edit> => {
      const written: string[] = [];
      const fixer = modelAgent({
        name: "Fixer",
        model,
        instructions:
          "You mend a JavaScript project so that its tests pass. Read the files you need, write whole corrected files " +
          "below src, never change tests. Then say in one sentence what you changed.",
        tools: tools(plan.cwd, written),
      });
      const files = await filesBelow(plan.cwd);
      const result = await ctx.run({
        task: { goal: plan.goal, files, failing: plan.failing, testsSaid: plan.said.slice(-4_000) },
        topology: { nodes: ["Fixer"], edges: [] },
        agents: { Fixer: fixer },
      });
      const summary = String(result.orThrow().finalResponse);
      const changed = [...new Set(written)];
      if (changed.length > 0) await commit(plan.cwd, summary, ctx);
      return { files: changed, summary };
    },
  });
}

function tools(cwd: string, written: string[]): readonly Tool[] {
  return [
    defineTool({
      name: "read_file",
      description: "The text of a file of the project.",
      input: z.object({ path: z.string() }),
      policy: "allow",
      idempotent: true,
      run: ({ path }: { path: string }) => readFile(inside(cwd, path), "utf8"),
    }),
    defineTool({
      name: "write_file",
      description: "Replaces a file below src.",
      input: z.object({ path: z.string(), text: z.string() }),
      policy: "allow",
      idempotent: true,
      run: async ({ path, text }: { path: string; text: string }) => {
        await writeFile(inside(join(cwd, "src"), relative("src", path)), text);
        written.push(path);
        return "written";
      },
    }),
  ];
}

function inside(folder: string, path: string): string {
  const full = resolve(folder, path);
  const below = relative(folder, full);
  if (below === "" || below.startsWith("..")) throw new Error(`${path} is outside of the project's files`);
  return full;
}

async function filesBelow(cwd: string): Promise<readonly string[]> {
  const all = await readdir(cwd, { recursive: true });
  return all.filter((path) => path.endsWith(".js") && !path.includes(".git"));
}
