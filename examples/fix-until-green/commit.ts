// Commits what an iteration changed, where the project is a git repository.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { AgentContext } from "orchestra";

const run = promisify(execFile);
const AUTHOR = ["-c", "user.name=fixer", "-c", "user.email=fixer@example.com"];

/** False where there is no git. */
export async function startRepository(cwd: string): Promise<boolean> {
  try {
    await run("git", ["-C", cwd, "init", "-q", "-b", "main"]);
    await run("git", ["-C", cwd, "add", "."]);
    await run("git", ["-C", cwd, ...AUTHOR, "commit", "-qm", "As it was found"]);
    return true;
  } catch {
    return false;
  }
}

/** Once per step: after a crash the commit is there already. */
export async function commit(cwd: string, message: string, ctx: Pick<AgentContext, "once" | "logger">): Promise<void> {
  await ctx.once("commit", async () => {
    try {
      await run("git", ["-C", cwd, ...AUTHOR, "commit", "-qam", message]);
      return true;
    } catch (error) {
      ctx.logger.debug({ error: String(error) }, "not committed");
      return false;
    }
  });
}
