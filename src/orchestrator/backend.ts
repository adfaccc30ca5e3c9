// Backend: how the commands behind checks are run.

import { commandAgent } from "../agents/command/command-agent.ts";
import type { CommandResult } from "../agents/command/command-result.ts";
import type { DefinedAgent } from "../agents/define-agent.ts";
import { OrchestraError } from "../base/errors.ts";
import type { AgentContext } from "../runtime/agent.ts";
import { shown } from "../runtime/option-schema.ts";
import { endingsOf } from "./check-result.ts";

export interface CheckCommand {
  readonly runId: string;
  /** From 1. */
  readonly iteration: number;
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly timeoutMs: number | false;
}

export interface CommandVerdict {
  readonly passed: boolean;
  readonly output: string;
  readonly exitCode?: number;
}

export interface Backend {
  /** Journalled: a check that runs again after a crash is not made twice where its result was recorded. */
  runCommand(command: CheckCommand, ctx: AgentContext): Promise<CommandVerdict>;
}

/** `safe-exec`: as processes, without a shell. `test`: none is started, and every command passes. */
export type BackendOption = "safe-exec" | "test" | Backend;

/** @throws {OrchestraError} `ORCH_BAD_OPTION` */
export function readBackend(option: BackendOption = "safe-exec"): Backend {
  if (option === "safe-exec") return new ProcessBackend();
  if (option === "test") return scriptedBackend({});
  if (typeof option === "object" && typeof option?.runCommand === "function") return option;
  throw new OrchestraError(
    "ORCH_BAD_OPTION",
    `createOrchestrator.backend: expected "safe-exec", "test" or an object with runCommand(), got ${shown(option)}`,
  );
}

/** For tests: the exit codes of each check, iteration by iteration; the last one stays. A check that is not named exits with 0. */
export function scriptedBackend(exitCodes: Readonly<Record<string, readonly number[]>>): Backend {
  return {
    async runCommand({ name, iteration }) {
      const codes = exitCodes[name] ?? [];
      const exitCode = codes[iteration - 1] ?? codes.at(-1) ?? 0;
      return { passed: exitCode === 0, exitCode, output: exitCode === 0 ? "" : `${name} exited with ${exitCode}` };
    },
  };
}

class ProcessBackend implements Backend {
  /** By what they run: an agent waits for what an earlier attempt of its step has left running. */
  readonly #agents = new Map<string, DefinedAgent>();

  async runCommand(command: CheckCommand, ctx: AgentContext): Promise<CommandVerdict> {
    const result = (await this.#agentFor(command).run(null, ctx)) as CommandResult;
    const { exitCode, signal, stdout, stderr } = result;
    const said = endingsOf(stdout, stderr);
    if (exitCode === null) return { passed: false, output: `${said}\nended by ${signal ?? "a signal"}` };
    return { passed: exitCode === 0, exitCode, output: said };
  }

  #agentFor({ name, command, args, cwd, timeoutMs }: CheckCommand): DefinedAgent {
    const key = JSON.stringify([name, command, args, cwd, timeoutMs]);
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const made = commandAgent({ name, command, args, cwd, timeoutMs, exitCodes: { other: "ok", signal: "ok" } });
    if (this.#agents.size >= AGENTS_MAX) this.#agents.clear();
    this.#agents.set(key, made);
    return made;
  }
}

const AGENTS_MAX = 1_000;
