// Error text: what a command that cannot go on says, and what to do about it.

import { connectControl } from "../control/index.ts";
import { isOrchestraError, type OrchestraError, type OrchestraErrorCode } from "../index.ts";
import { UsageError } from "./exit-code.ts";

const HINTS: Partial<Record<OrchestraErrorCode, string>> = {
  ORCH_AGENT_UNKNOWN: "agents come from --agents FILE, or from FILE's export agents",
};

/** These need the store itself; all others speak to the process that has it open, where that serves it. */
const ALONE: readonly string[] = ["run", "resume", "import", "upgrade-check", "verify", "repair"];

/** @param command The command that failed; empty when it was not understood. */
export async function errorText(error: unknown, command: string): Promise<string> {
  if (isOrchestraError(error)) {
    const hint = error.code === "ORCH_STORE_LOCKED" ? await lockedHint(error, command) : HINTS[error.code];
    return `error: ${error.code}: ${error.message}${hint === undefined ? "" : `\n(${hint})`}`;
  }
  if (error instanceof UsageError) return `error: ${error.message}`;
  return `internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

async function lockedHint({ details }: OrchestraError, command: string): Promise<string> {
  if (!ALONE.includes(command)) return "that process does not serve the store to others: wait for it, or stop it";
  const needs = `"orchestra ${command}" needs the store for itself: wait for that process, or stop it`;
  const { path } = details;
  return typeof path === "string" && (await isServed(path))
    ? `${needs}; meanwhile "orchestra sessions", show, why, events, pause, cancel and answer reach what runs there`
    : needs;
}

async function isServed(folder: string): Promise<boolean> {
  const client = await connectControl(folder).catch(() => null);
  await client?.close();
  return client !== null;
}
