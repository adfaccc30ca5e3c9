// Command result: what a program came to, and what that means for the step.

import { OrchestraError } from "../../base/errors.ts";
import type { AgentContext } from "../../runtime/agent.ts";

export interface CommandResult {
  /** `null` when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** As UTF-8, secrets masked. Of more than `outputBytesMax` the beginning and the end, with a line between that says how much is missing. */
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
  /** Something of `stdout` or `stderr` was left out. */
  readonly truncated: boolean;
}

/**
 * What an exit means. `ok`: the step succeeds with its value. `fail`: it fails for good. `retry`: it fails as `transient`
 * failures do. A function: what it returns, a value or a command of `next`; after a crash it is asked again, with the same result.
 */
export type ExitMeaning = "ok" | "fail" | "retry" | ((result: CommandResult, ctx: AgentContext) => unknown);

/** Meanings by exit code. `signal`: of a program that a signal ended. `other`: of all that are not named. Default: 0 is ok, all else fails. */
export type ExitCodes = Readonly<Record<number, ExitMeaning>> & {
  readonly signal?: ExitMeaning;
  readonly other?: ExitMeaning;
};

export function meaningOf({ exitCode }: CommandResult, codes: ExitCodes): ExitMeaning {
  const named = exitCode === null ? codes.signal : Object.hasOwn(codes, exitCode) ? codes[exitCode] : undefined;
  return named ?? (exitCode === 0 ? "ok" : (codes.other ?? "fail"));
}

const SHOWN_LENGTH_MAX = 2_000;

/** The failure of a step whose command ended in a way that is not `ok`. */
export function exitFailure(agent: string, shown: string, result: CommandResult, retryable: boolean): OrchestraError {
  const { exitCode, signal, stdout, stderr, tookMs, truncated } = result;
  const how = exitCode === null ? `was ended by ${signal ?? "a signal"}` : `exited with ${exitCode}`;
  const said = lastLineOf(stderr) ?? lastLineOf(stdout);
  const error = new OrchestraError(
    "ORCH_COMMAND_FAILED",
    `agent "${agent}": ${shown} ${how}${said === undefined ? "" : `: ${said}`}`,
    { details: { exitCode, signal, stdout: ending(stdout), stderr: ending(stderr), tookMs, truncated } },
  );
  return Object.assign(error, { retryable });
}

function lastLineOf(text: string): string | undefined {
  const line = text.trimEnd().split("\n").at(-1)?.trim() ?? "";
  return line === "" ? undefined : line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

function ending(text: string): string {
  return text.length <= SHOWN_LENGTH_MAX ? text : `…${text.slice(-SHOWN_LENGTH_MAX)}`;
}
